//! A FEP's keys in a world: its root, those that may sign for it one after the other, and one that was stolen and revoked
//! before the world began.

use labman_proto_core::identity::{FepId, Identity, Network};
use labman_proto_core::keys::Keys;
use labman_proto_core::portal::Signers;
use labman_proto_core::rng::Seed;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::keys::{CertifiedKey, KeyRing};
use labman_proto_core::wire::object;

/// So many keys a FEP can have signed with by the end of a run.
const HELD: u64 = 8;

/// Makes the identities, once for each life.
#[derive(Clone)]
pub struct FepKeys {
    pub(super) seed: Seed,
    /// Of the FEP.
    pub(super) name: String,
    pub(super) network: String,
    pub(super) new_key: fn(&[u8; 32]) -> Identity,
}

impl FepKeys {
    fn of(&self, name: &str) -> Identity {
        (self.new_key)(&self.seed.child("identity").child(name).0)
    }

    pub fn root(&self) -> Identity {
        self.of(&self.name)
    }

    pub fn fep_id(&self) -> FepId {
        self.root().fep_id()
    }

    pub fn network(&self) -> Network {
        self.root().network(&self.network)
    }

    /// From 1 on.
    pub fn signing(&self, number: u64) -> Identity {
        self.of(&format!("{}/key-{number}", self.name))
    }

    pub fn stolen(&self) -> Identity {
        self.of(&format!("{}/stolen", self.name))
    }

    /// All that may ever sign in its name.
    pub fn held(&self) -> Vec<Identity> {
        (1..=HELD).map(|number| self.signing(number)).collect()
    }

    pub fn signers(&self) -> Signers {
        let stolen = CertifiedKey { revoked_from_ms: Some(1), ..self.certified(0, &self.stolen()) };
        let keys = vec![stolen, self.certified(0, &self.signing(1))];
        let founding = self.sealed(KeyRing { fep_id: self.fep_id(), serial: 1, keys });
        Signers::new(&self.network, &founding, self.held()).expect("the root's own ring")
    }

    /// The ring that follows, with the next key; its predecessors stay. `None`: all have had their turn.
    pub fn with_next_key(&self, before: &Keys) -> Option<Vec<u8>> {
        let mut ring = self.next(before);
        // The stolen one is among them.
        let number = ring.keys.len() as u64;
        (number <= HELD).then(|| {
            ring.keys.push(self.certified(number, &self.signing(number)));
            self.sealed(ring)
        })
    }

    /// The ring that follows, in which all but the newest key are revoked from then on.
    pub fn with_the_newest_only(&self, before: &Keys, from: Wall) -> Vec<u8> {
        let mut ring = self.next(before);
        let newest = ring.keys.iter().map(|key| key.from_ms).max();
        for key in ring.keys.iter_mut().filter(|key| Some(key.from_ms) != newest) {
            let from = key.revoked_from_ms.map_or(from.0, |before| before.min(from.0));
            key.revoked_from_ms = Some(from);
        }
        self.sealed(ring)
    }

    fn next(&self, before: &Keys) -> KeyRing {
        KeyRing { serial: before.serial() + 1, ..before.content().clone() }
    }

    /// For all time from a beginning that rises: the last one signs, whatever anybody's clock shows.
    fn certified(&self, from_ms: u64, key: &Identity) -> CertifiedKey {
        CertifiedKey { key: key.fep_key(), from_ms, until_ms: u64::MAX, revoked_from_ms: None }
    }

    fn sealed(&self, ring: KeyRing) -> Vec<u8> {
        object::seal(&self.root(), self.network().id, ring).bytes.0
    }
}
