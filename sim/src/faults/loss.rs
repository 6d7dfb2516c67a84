//! Packets are lost all over the network. Streams are reliable: what was lost comes later.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, within};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// How many of a thousand.
    pub permille: u32,
}

impl Kind for Loss {
    const LASTS: Span = Span::from_secs(300);

    fn draw(_: &Stage, draws: &mut Stream) -> Option<Self> {
        Some(Self { permille: 1 + draws.below(300) as u32 })
    }

    fn hosts(&self) -> Vec<&str> {
        Vec::new()
    }

    fn check(&self, _: &Stage) -> Result<(), String> {
        within("permille", u64::from(self.permille), 1..=1_000)
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.world.conditions().set_loss(u64::from(self.permille));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.world.conditions().set_loss(0);
    }
}
