//! BLAKE3 fed in large pieces: it hashes many blocks at once where it is given many, and one after the other where it is
//! given few, at several times the cost.

/// Bytes that are hashed together.
const BATCH: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Hasher {
    hasher: blake3::Hasher,
    waiting: Vec<u8>,
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= BATCH {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    pub(super) fn finalize(&self) -> blake3::Hash {
        self.hasher.clone().update(&self.waiting).finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batched_hash_is_the_hash_of_everything() {
        let (mut batched, mut all) = (Hasher::default(), Vec::new());
        for length in [0, 1, 1000, BATCH - 1, 7, BATCH, 3 * BATCH, 5] {
            let piece = vec![length as u8; length];
            batched.update(&piece);
            all.extend(piece);
            assert_eq!(batched.finalize(), blake3::hash(&all));
        }
    }
}
