//! A node among peers and a FEP by hand: the rig of its tests, over a disk that is quick with many rows.

use crate::{disk as store, rings};

#[allow(dead_code, reason = "tests need more of it")]
#[path = "../../../proto-core/tests/node/fep.rs"]
pub(crate) mod fep;
#[allow(dead_code, reason = "tests need more of it")]
#[path = "../../../proto-core/tests/node/peer.rs"]
pub(crate) mod peer;
#[allow(dead_code, reason = "tests need more of it")]
#[path = "../../../proto-core/tests/node/rig.rs"]
pub(crate) mod rig;
