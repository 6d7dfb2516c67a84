//! A host's wall clock jumps, and later jumps back.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, pick, within};

/// A century, in milliseconds.
const FARTHEST: u64 = 3_155_760_000_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockJump {
    pub host: String,
    /// Forward, or back if negative.
    pub millis: i64,
}

impl Kind for ClockJump {
    const LASTS: Span = Span::from_secs(300);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let host = pick(draws, &stage.stores())?;
        // Mostly within ten minutes, sometimes by a day.
        let most = if draws.below(4) == 0 { 86_400_000 } else { 600_000 };
        let millis = draws.below(2 * most + 1) as i64 - most as i64;
        Some(Self { host, millis })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, _: &Stage) -> Result<(), String> {
        within("millis", self.millis.unsigned_abs(), 1..=FARTHEST)
    }

    fn begin(&self, site: &mut Site<'_>) {
        let millis = self.millis;
        site.each(&self.hosts(), |world, host| {
            world.jump_clock(host, millis);
            world.marks().fired("clock-jump");
        });
    }

    fn end(&self, site: &mut Site<'_>) {
        let millis = self.millis;
        site.each(&self.hosts(), |world, host| world.jump_clock(host, -millis));
    }
}
