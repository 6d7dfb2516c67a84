//! Signed objects: the papers of the economy. They are stored and forwarded as the exact bytes their signer made.
//!
//! ```text
//! object = ver:u8 | kind:u16 | net_id:8 | signer:32 | payload_len:u32 | payload | sig:64           big-endian
//! sig    = Ed25519(signer, "labman/object/1\0" || all before sig)       hash = BLAKE3("labman/object/1\0" || all before sig)
//! ```

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::identity::{Identity, NetId, Network};
use crate::wire::cbor;

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"labman/object/1\0";
const HEADER: usize = 47;
const SIGNATURE: usize = 64;
/// Where the signer stands in the header.
const SIGNER: usize = 11;
/// The longest object, in bytes.
pub const MOST: usize = 48 * 1024;

/// A message type that is signed as an object: its number keeps one kind's signature from passing for another's.
pub trait Object: Encode<()> + for<'b> Decode<'b, ()> {
    const KIND: u16;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadObject {
    #[error("a signed object's length is wrong")]
    Length,
    #[error("a signed object of another version, kind or network")]
    Foreign,
    #[error("a signed object is not from the party it must be from")]
    Signer,
    #[error("a signed object's signature does not hold")]
    Signature,
    #[error("a signed object's content: {0}")]
    Content(#[from] cbor::BadCbor),
}

/// An object whose signature held, with the bytes that prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed<T> {
    pub signer: [u8; 32],
    pub content: T,
    pub hash: [u8; 32],
    pub bytes: cbor::Blob,
}

/// Who an object says to be of; whether that is so, [`open`] tells.
pub fn signer_of(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.get(SIGNER..HEADER)?.first_chunk::<32>().copied()
}

/// Signs `content`.
pub fn seal<T: Object>(identity: &Identity, net_id: NetId, content: T) -> Sealed<T> {
    let payload = cbor::encode(&content);
    let signer = identity.node_id().0;
    let mut message = Vec::with_capacity(DOMAIN.len() + HEADER + payload.len() + SIGNATURE);
    message.extend_from_slice(DOMAIN);
    message.push(VERSION);
    message.extend_from_slice(&T::KIND.to_be_bytes());
    message.extend_from_slice(&net_id.0);
    message.extend_from_slice(&signer);
    message.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    message.extend_from_slice(&payload);
    let hash = *blake3::hash(&message).as_bytes();
    let signature = identity.sign(&message);
    let mut bytes = message.split_off(DOMAIN.len());
    bytes.extend_from_slice(&signature);
    Sealed { signer, content, hash, bytes: cbor::Blob(bytes) }
}

/// Reads an object, if it is whole, of this kind and network, by `signer` where one is given, and its signature holds.
pub fn open<T: Object>(
    network: Network,
    signer: Option<[u8; 32]>,
    bytes: &[u8],
) -> Result<Sealed<T>, BadObject> {
    if bytes.len() > MOST {
        return Err(BadObject::Length);
    }
    let (signed, signature) = bytes.split_last_chunk::<SIGNATURE>().ok_or(BadObject::Length)?;
    let (header, payload) = signed.split_first_chunk::<HEADER>().ok_or(BadObject::Length)?;
    let [version, kind_high, kind_low, rest @ ..] = header;
    let (net, rest) = rest.split_first_chunk::<8>().ok_or(BadObject::Length)?;
    let (by, len) = rest.split_first_chunk::<32>().ok_or(BadObject::Length)?;
    let len: [u8; 4] = len.try_into().map_err(|_| BadObject::Length)?;
    if *version != VERSION || u16::from_be_bytes([*kind_high, *kind_low]) != T::KIND || *net != network.id.0 {
        return Err(BadObject::Foreign);
    }
    if u32::from_be_bytes(len) as usize != payload.len() {
        return Err(BadObject::Length);
    }
    if signer.is_some_and(|signer| signer != *by) {
        return Err(BadObject::Signer);
    }
    let mut message = Vec::with_capacity(DOMAIN.len() + signed.len());
    message.extend_from_slice(DOMAIN);
    message.extend_from_slice(signed);
    if !network.verify(by, &message, signature) {
        return Err(BadObject::Signature);
    }
    let content = cbor::decode(payload)?;
    let hash = *blake3::hash(&message).as_bytes();
    Ok(Sealed { signer: *by, content, hash, bytes: cbor::Blob(bytes.into()) })
}
