//! A gateway's jobs are offered to their providers once more, with the same signed frames: by a thief of its connection, or
//! by itself, come to think of it.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    pub host: String,
}

impl Kind for Replay {
    // An authorization is good for some minutes only, and is to be refused for being used.
    const LASTS: Span = Span::from_secs(120);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let gateways: Vec<&str> = stage.gateways.iter().map(String::as_str).collect();
        pick(draws, &gateways).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        let gateways: Vec<&str> = stage.gateways.iter().map(String::as_str).collect();
        among(&self.host, &gateways, "jobs of others to offer again")
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.remember_streams(host));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.replay_streams(host));
    }
}
