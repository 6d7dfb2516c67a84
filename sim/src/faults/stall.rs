//! A host's process stands still: stopped, swapped out, or its virtual machine moved.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, pick};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    pub host: String,
}

impl Kind for Stall {
    const LASTS: Span = Span::from_secs(40);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        pick(draws, &stage.daemons()).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn begin(&self, site: &mut Site<'_>) {
        let until = site.until;
        site.each(&self.hosts(), |world, host| world.stall(host, until));
    }

    /// It wakes by itself.
    fn end(&self, _: &mut Site<'_>) {}
}
