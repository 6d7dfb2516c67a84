//! A keyed tag in place of signatures, for simulations of thousands of nodes.
//!
//! **This is no cryptography.** The key is the public key, so whoever can check a tag can make one, and collisions can be
//! computed by hand. It tells apart honest parties that make mistakes: a flipped bit, a wrong sender or a message of
//! somebody else is noticed, at about a hundred instructions a frame where ed25519 takes hundreds of thousands. A
//! simulation whose adversaries forge must sign with the real thing.
//!
//! It cannot leave a simulation: a frame tagged so is a bad signature to every daemon.
//!
//! The tag folds 16 bytes at a time through a 64 by 64 bit multiplication, whose halves are combined by exclusive or
//! (Wang Yi et al., wyhash).

use labman_proto_core::identity::{Identity, Scheme, Verify};

/// Odd constants with as many ones as zeros, of wyhash.
const SECRET: [u64; 4] =
    [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3];

/// An identity that signs by tagging.
pub fn identity(secret: &[u8; 32]) -> Identity {
    Identity::signing_by(Box::new(Tags { public_key: blake3::derive_key("labman sim 1 tag", secret) }))
}

/// The scheme behind [`identity`].
struct Tags {
    public_key: [u8; 32],
}

impl Scheme for Tags {
    fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        signature(&self.public_key, message)
    }

    fn verify(&self) -> Verify {
        verify
    }
}

/// Whether `signature` is the tag that `signer` puts on `message`.
pub fn verify(signer: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    self::signature(signer, message) == *signature
}

/// The tag where a signature begins, and zeros behind it.
fn signature(signer: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..8].copy_from_slice(&tag(signer, message).to_le_bytes());
    signature
}

fn tag(signer: &[u8; 32], message: &[u8]) -> u64 {
    let (halves, _) = signer.as_chunks::<16>();
    let mut state = halves.iter().fold(SECRET[0], absorb);
    let (blocks, rest) = message.as_chunks::<16>();
    state = blocks.iter().fold(state, absorb);
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    // The length tells a short last block from one that ends in zeros.
    fold(absorb(state, &last) ^ SECRET[2], message.len() as u64 ^ SECRET[3])
}

fn absorb(state: u64, block: &[u8; 16]) -> u64 {
    let both = u128::from_le_bytes(*block);
    fold(both as u64 ^ SECRET[1], (both >> 64) as u64 ^ state)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::identity::NetId;
    use labman_proto_core::time::Wall;
    use labman_proto_core::wire::envelope::{BadFrame, Header, Kind, SignedFrame};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(
            signer: [u8; 32],
            message in prop::collection::vec(any::<u8>(), 1..200),
            byte: prop::sample::Index,
            bit in 0..8u32,
        ) {
            let tagged = signature(&signer, &message);
            prop_assert!(verify(&signer, &message, &tagged));

            let mut other = message.clone();
            other[byte.index(message.len())] ^= 1 << bit;
            prop_assert!(!verify(&signer, &other, &tagged));
            let mut other = signer;
            other[byte.index(32)] ^= 1 << bit;
            prop_assert!(!verify(&other, &message, &tagged));
            let mut other = tagged;
            other[byte.index(64)] ^= 1 << bit;
            prop_assert!(!verify(&signer, &message, &other));
        }
    }

    #[test]
    fn a_message_with_a_zero_behind_it_is_another_message() {
        let tagged = signature(&[1; 32], b"seven..");
        assert!(!verify(&[1; 32], b"seven..\0", &tagged));
    }

    #[test]
    fn a_tagged_frame_is_worth_nothing_outside_of_simulations() {
        let (ours, daemon) = (identity(&[5; 32]), Identity::from_secret(&[5; 32]));
        let header = Header {
            kind: Kind::Hello as u16,
            net_id: NetId::of("test"),
            sender: ours.node_id(),
            dest: None,
            incarnation: 1,
            seq: 1,
            issued: Wall(0),
            ttl_s: 0,
        };
        let frame = SignedFrame::sign(&ours, header, b"\xa0");
        assert_eq!(frame.open(ours.network("test")), Ok(&b"\xa0"[..]));
        assert_eq!(frame.open(daemon.network("test")), Err(BadFrame::Signature));
    }
}
