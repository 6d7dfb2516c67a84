//! A store's machine loses power while it writes, and a row that is read at start can't be read any more. The machine
//! refuses to start on it, until whoever keeps the disk brings back what the row was.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick};
use crate::host::Death;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Torn {
    pub host: String,
}

impl Kind for Torn {
    const LASTS: Span = Span::from_secs(60);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        pick(draws, &stage.stores()).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &stage.stores(), "store")
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.set_dies_writing(host, Some(Death::Torn)));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| {
            world.set_dies_writing(host, None);
            if !world.is_up(host) {
                world.restart(host);
                world.crash(host);
                world.mend_disk(host);
                world.restart(host);
            }
        });
    }
}
