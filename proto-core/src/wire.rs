//! Bytes that leave the machine, and what they mean. Normative text: protocol.md.

pub mod cbor;
pub mod envelope;
pub mod ids;
pub mod keys;
pub mod mesh;
pub mod object;
pub mod portal;
pub mod portman;
pub mod topic;
