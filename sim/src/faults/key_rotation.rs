//! A FEP goes over to its next signing key, and nobody was told before. Then, perhaps, the key before is revoked: it was
//! stolen.

use labman_proto_core::keys::Keys;
use labman_proto_core::rng::Stream;
use labman_proto_core::store::Table;
use labman_proto_core::time::{Span, Wall};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Kind, Site, Stage, among, pick};
use crate::cast::Resident;

/// Behind the FEP's clock nothing is revoked that it may be signing just now.
const SOON: Span = Span::from_secs(5);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRotation {
    pub host: String,
    /// The keys before, in the end.
    pub revokes: bool,
}

impl Kind for KeyRotation {
    const LASTS: Span = Span::from_secs(60);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let feps: Vec<&str> = stage.feps.iter().map(String::as_str).collect();
        let host = pick(draws, &feps)?;
        Some(Self { host, revokes: draws.below(2) == 0 })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        let feps: Vec<&str> = stage.feps.iter().map(String::as_str).collect();
        among(&self.host, &feps, "keys that sign for others")
    }

    fn begin(&self, site: &mut Site<'_>) {
        if let Some(ring) = self.in_force(site).and_then(|ring| site.keys.with_next_key(&ring)) {
            self.put(site, &ring);
        }
    }

    fn end(&self, site: &mut Site<'_>) {
        let (Some(ring), Some(host)) = (self.in_force(site), site.host(&self.host)) else { return };
        // With the stolen one and the first.
        if ring.iter().count() > 2 {
            site.world.marks().fired("key-rotation");
        }
        if self.revokes {
            let Wall(now) = site.world.wall(host);
            let ring = site.keys.with_the_newest_only(&ring, Wall(now) + SOON);
            self.put(site, &ring);
        }
    }
}

impl KeyRotation {
    /// The ring on the FEP's disk.
    fn in_force(&self, site: &Site<'_>) -> Option<Keys> {
        let disk = site.world.disk(site.host(&self.host)?);
        let row: Value = serde_json::from_slice(&disk.row(Table::live("ring"), "ring")?).ok()?;
        let bytes = hex::decode(row["ring"].as_str()?).ok()?;
        Keys::open(site.keys.network(), None, &bytes).ok()
    }

    /// Its operator does so; if the FEP is away, nothing comes of it.
    fn put(&self, site: &mut Site<'_>, ring: &[u8]) {
        let body = json!({ "ring": hex::encode(ring) });
        let ask = |resident: &mut Resident| {
            if let Resident::Operator(operator) = resident {
                operator.ask(&self.host, "POST", "/ring", Some(&body));
            }
        };
        if let Some(operator) = site.operator {
            site.world.command(operator, ask);
        }
    }
}
