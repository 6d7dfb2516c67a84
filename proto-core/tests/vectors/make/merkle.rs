//! Roots over receipt ids.

use serde_json::Value;

use super::Suite;
use crate::format::File;

pub(crate) fn make() -> File {
    let mut suite =
        Suite::new("A claim's Merkle root; the input is its receipt ids: protocol.md, section 4.");
    for leaves in [1u16, 2, 3, 4, 5, 7, 8, 9, 16, 31, 256] {
        let ids: Vec<u8> =
            (0..leaves).flat_map(|leaf| [[0; 14].as_slice(), &leaf.to_be_bytes()].concat()).collect();
        suite.good("merkle", Value::Null, format!("{leaves} receipts"), ids);
    }
    suite.0
}
