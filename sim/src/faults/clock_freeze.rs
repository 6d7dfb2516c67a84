//! A host's wall clock stands still for a while; its monotonic clock goes on.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, pick};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockFreeze {
    pub host: String,
}

impl Kind for ClockFreeze {
    const LASTS: Span = Span::from_secs(300);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        pick(draws, &stage.stores()).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| {
            world.freeze_clock(host);
            world.marks().fired("clock-freeze");
        });
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.thaw_clock(host));
    }
}
