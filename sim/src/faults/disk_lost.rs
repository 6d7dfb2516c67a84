//! A provider's disk is lost: it goes on with an empty one, and with its key, at the end. Not for FEPs, whose ledger nobody
//! else has, nor for gateways, whose users' holds it would leave open.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskLost {
    pub host: String,
}

fn able(stage: &Stage) -> Vec<&str> {
    stage.providers.iter().map(String::as_str).collect()
}

impl Kind for DiskLost {
    const LASTS: Span = Span::from_secs(120);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        pick(draws, &able(stage)).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &able(stage), "store that may be lost")
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| {
            world.lose_disk(host);
            world.marks().fired("disk-lost");
        });
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.restart(host));
    }
}
