//! The root over a claim's receipt ids: RFC 6962's tree (section 2.1, its leaf and node prefixes) with BLAKE3.

use crate::wire::ids::Hash;

/// Root over the leaves in order; over none: the hash of nothing.
pub fn root(leaves: &[[u8; 16]]) -> Hash {
    Hash(subtree(leaves))
}

fn subtree(leaves: &[[u8; 16]]) -> [u8; 32] {
    let hash = match leaves {
        [] => blake3::hash(&[]),
        [leaf] => {
            let mut node = [0; 17];
            node[1..].copy_from_slice(leaf);
            blake3::hash(&node)
        }
        _ => {
            // The largest power of two smaller than the number of leaves goes left.
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let mut node = [1; 65];
            node[1..33].copy_from_slice(&subtree(left));
            node[33..].copy_from_slice(&subtree(right));
            blake3::hash(&node)
        }
    };
    *hash.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_leaves_split_two_and_one() {
        let leaves = [[1; 16], [2; 16], [3; 16]];
        let leaf = |id: &[u8; 16]| blake3::hash(&[&[0][..], id].concat());
        let node =
            |l: blake3::Hash, r: blake3::Hash| blake3::hash(&[&[1][..], l.as_bytes(), r.as_bytes()].concat());
        let expected = node(node(leaf(&leaves[0]), leaf(&leaves[1])), leaf(&leaves[2]));
        assert_eq!(root(&leaves).0, *expected.as_bytes());
        assert_ne!(root(&leaves[..2]), root(&leaves));
    }
}
