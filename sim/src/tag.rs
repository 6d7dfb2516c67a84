//! A cheap stand-in for signatures, for runs of thousands: a keyed tag by multiplying and folding.
//!
//! It is no cryptography: whoever knows a public key can make its tags. A simulated forger does not do so, because it
//! would prove nothing. What it keeps is what the protocol's rules need: a tag holds for one key and one message only.

use labman_proto_core::identity::{Identity, Scheme, Verify};

struct Tag {
    public_key: [u8; 32],
}

/// An identity that signs with tags.
pub fn identity(secret: &[u8; 32]) -> Identity {
    Identity::signing_by(Box::new(Tag { public_key: blake3::derive_key("labman sim 1 tag", secret) }))
}

impl Scheme for Tag {
    fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        tag(&self.public_key, message)
    }

    fn verify(&self) -> Verify {
        |signer, message, signature| tag(signer, message) == *signature
    }
}

fn tag(key: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let word = |bytes: &[u8]| {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(padded)
    };
    let (one, other) = (word(&key[..8]) | 1, word(&key[8..16]) | 1);
    let mut state = [word(&key[16..24]) ^ message.len() as u64, word(&key[24..])];
    for pair in message.chunks(16) {
        let (low, high) = pair.split_at(pair.len().min(8));
        let folded = fold(word(low) ^ state[0] ^ one, word(high) ^ state[1] ^ other);
        state = [folded, state[0].rotate_left(23).wrapping_add(folded ^ one)];
    }
    let mut out = [0; 64];
    for (index, lane) in out.chunks_exact_mut(8).enumerate() {
        let mixed = fold(state[0] ^ other.wrapping_mul(2 * index as u64 + 1), state[1] | 1);
        lane.copy_from_slice(&mixed.to_le_bytes());
    }
    out
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_for_one_key_and_one_message_only() {
        let message: Vec<u8> = (0..100).collect();
        let good = tag(&[7; 32], &message);
        assert_eq!(tag(&[7; 32], &message), good);
        assert_ne!(tag(&[8; 32], &message), good);
        for at in 0..message.len() {
            for bit in 0..8 {
                let mut changed = message.clone();
                changed[at] ^= 1 << bit;
                assert_ne!(tag(&[7; 32], &changed), good, "byte {at}, bit {bit}");
            }
        }
        assert_ne!(tag(&[7; 32], &message[..99]), good);
        assert_ne!(tag(&[7; 32], &[&message[..], &[0]].concat()), good, "padding is no message");
    }
}
