//! Names of things on the wire: requests, holds, receipts, claims, payouts, hashes. What follows from something else is
//! derived, so that naming it twice gives the same name.

use crate::identity::{FepId, NodeId};
use crate::wire::cbor::hex_id;

hex_id!(
    /// A request's id on the mesh and at the FEP, and (behind `req_`) in `x-request-id`. 16 random bytes.
    RequestId, 16
);
hex_id!(
    /// A 32-byte BLAKE3 hash.
    Hash, 32
);
hex_id!(
    /// A hold's id: it follows from (fep, gateway, request), so that asking twice names the same hold.
    AuthId, 16
);
hex_id!(
    /// A receipt's id: it follows from (fep, auth, attempt), so that issuing again gives the same bytes.
    ReceiptId, 16
);
hex_id!(
    /// A claim's id, chosen by the provider.
    ClaimId, 16
);
hex_id!(
    /// A payout's id at the FEP and its rail: it follows from the claim.
    PayoutId, 16
);

impl AuthId {
    pub fn of(fep: FepId, gateway: NodeId, request: RequestId) -> Self {
        Self(first_half("labman auth id 1", &[&fep.0, &gateway.0, &request.0]))
    }
}

impl ReceiptId {
    pub fn of(fep: FepId, auth: AuthId, attempt: u8) -> Self {
        Self(first_half("labman receipt id 1", &[&fep.0, &auth.0, &[attempt]]))
    }
}

impl PayoutId {
    pub fn of(fep: FepId, provider: NodeId, claim: ClaimId) -> Self {
        Self(first_half("labman payout id 1", &[&fep.0, &provider.0, &claim.0]))
    }
}

fn first_half(context: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    id
}
