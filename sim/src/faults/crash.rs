//! A daemon dies on the spot and comes back: what it had not written is lost, its peers notice by silence.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, pick};
use crate::host::Death;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    pub host: String,
    /// It dies while the first write after that moment is under way, and not at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writing: bool,
}

impl Kind for Crash {
    const LASTS: Span = Span::from_secs(60);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        // There are few FEPs and gateways, and most of what must survive a crash is theirs.
        let few: Vec<&str> = stage.feps.iter().chain(&stage.gateways).map(String::as_str).collect();
        let host = if draws.below(3) == 0 { pick(draws, &few) } else { pick(draws, &stage.daemons()) }?;
        // Ten times likelier while something is being written: that is where crashes hurt.
        Some(Self { host, writing: draws.below(11) > 0 })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn begin(&self, site: &mut Site<'_>) {
        let Some(host) = site.host(&self.host) else { return };
        // Portmans write nothing.
        if self.writing && !self.host.contains('/') {
            return site.world.set_dies_writing(host, Some(Death::Clean));
        }
        site.world.crash(host);
    }

    fn end(&self, site: &mut Site<'_>) {
        let Some(host) = site.host(&self.host) else { return };
        site.world.set_dies_writing(host, None);
        if !site.world.is_up(host) {
            site.world.marks().fired("crash");
            site.world.restart(host);
        }
    }
}
