//! A daemon is asked to end, as for an upgrade, and is started again later. It takes its leave first; if it takes too long,
//! it is stopped on the spot.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, pick};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    pub host: String,
}

impl Kind for Leave {
    const LASTS: Span = Span::from_secs(60);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        pick(draws, &stage.daemons()).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.ask_to_leave(host));
    }

    fn end(&self, site: &mut Site<'_>) {
        let Some(host) = site.host(&self.host) else { return };
        if !site.world.is_up(host) {
            site.world.marks().fired("leave");
        }
        site.world.crash(host);
        site.world.restart(host);
    }
}
