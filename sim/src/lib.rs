//! Drives labman's machines on a virtual clock: the same `Node`, `Portman`, `Portal` and `Toy` that the daemons run.
//!
//! From the bottom up: [`engine`] orders events in virtual time and knows nothing else; [`host`] drives one machine as
//! strictly as its contract allows; [`world`] carries bytes between hosts; [`mod@run`] puts a [`scenario`]'s
//! [`cast`] into a world, lets [`users`] ask, and has [`check`] look at everything. A [`sweep`] does
//! that for many seeds and settings, [`results`] is what it leaves, and [`compare`] says what two of them differ by.
//!
//! [`mod@replay`] leads machines through the journals of real daemons.
//!
//! What is absent: a clock, threads within a run, a real socket, and any second implementation of what a machine does.

pub mod adversary;
pub mod again;
pub mod cast;
pub mod check;
pub mod churn;
pub mod clock;
pub mod compare;
pub mod crew;
pub mod disk;
pub mod engine;
pub mod faults;
pub mod fuzz;
pub mod host;
pub mod like;
pub mod marks;
pub mod name;
pub mod net;
pub mod operator;
pub mod oracle;
pub mod page;
pub mod replay;
pub mod report;
pub mod results;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod stats;
pub mod story;
pub mod sweep;
pub mod tag;
pub mod threats;
pub mod trace;
pub mod traffic;
pub mod users;
pub mod workload;
pub mod world;

pub use report::Report;
pub use run::run;

/// Which program this is: its version, and a hash of all that a run depends on but scenario and seed.
pub const BUILD: &str = env!("LABMAN_SIM_BUILD");
