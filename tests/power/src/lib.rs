//! Power cuts at every write of SQLite's.
//!
//! ```text
//!   io-tokio's store --> SQLite --> vfs: logs each write, truncation and sync --> the real files
//!                                     |
//!                                     v
//!   log, up to any event --> platter: what was synced, and of the rest what chance leaves --> files to judge
//! ```
//!
//! A process that is killed loses nothing that it gave the kernel; a host that loses power does. What was written and not synced
//! may be there, may not, or in part, in any order: SQLite promises to cope, labman promises not to say anything
//! before SQLite's promise holds.
//!
//! Absent: files that vanish (a recording begins when the stores are there and ends before they are closed), and disks
//! that lie about syncs: nothing can be promised on those.

mod platter;
mod vfs;

pub use platter::{Platters, Survives};
pub use vfs::{Event, Recording, What, mark};
