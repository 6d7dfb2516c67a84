//! Who may sign for a Front-End Portal, and what it offers: the two objects by which everybody else knows it.

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};

use crate::economics::{Fees, Rate};
use crate::identity::{FepId, FepKey};
use crate::money::{Currency, Micros};
use crate::wire::cbor::Blob;
use crate::wire::object::Object;

/// All keys that ever signed for a FEP, or will. Signed by its root, whose public key is the FEP's id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeyRing {
    #[n(0)]
    pub fep_id: FepId,
    /// Rises: of two rings the one with the higher serial counts.
    #[n(1)]
    pub serial: u64,
    #[n(2)]
    pub keys: Vec<CertifiedKey>,
}

/// It signs from `from_ms` until `until_ms`, that one excluded; Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CertifiedKey {
    #[n(0)]
    pub key: FepKey,
    #[n(1)]
    pub from_ms: u64,
    #[n(2)]
    pub until_ms: u64,
    /// What it signed from then on counts for nothing.
    #[n(3)]
    pub revoked_from_ms: Option<u64>,
}

/// Who this FEP is, and what it takes. Signed by a key of the ring in it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Descriptor {
    /// A signed [`KeyRing`].
    #[n(0)]
    pub ring: Blob,
    /// Of two with the same ring the later one counts.
    #[n(1)]
    pub issued_ms: u64,
    #[n(2)]
    pub currency: Currency,
    #[n(3)]
    pub fees: Fees,
    #[n(4)]
    pub rails: Vec<OfferedRail>,
    /// Of currencies that providers may be paid in besides.
    #[n(5)]
    pub quotes: Vec<Quote>,
}

/// A way by which providers are paid in that currency.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OfferedRail {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub currency: Currency,
    /// Less than this waits until more is owed to the same address.
    #[n(2)]
    pub least_payout: Micros,
}

/// At which offers in that currency are authorized.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Quote {
    #[n(0)]
    pub currency: Currency,
    #[n(1)]
    pub rate: Rate,
    /// When it lapses, in Unix milliseconds.
    #[n(2)]
    pub until_ms: u64,
}

impl Object for KeyRing {
    const KIND: u16 = 12;
}
impl Object for Descriptor {
    const KIND: u16 = 13;
}
