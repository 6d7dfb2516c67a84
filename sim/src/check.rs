//! The checkers: what must hold in every run, whatever the scenario. Each finding is one line for a person.
//!
//! They recompute next to nothing of the machines' own: what a job must have produced is asked of the core's functions;
//! what it costs is worked out a second time.

mod durable;
mod keys;
pub mod ledger;
pub mod liveness;
pub mod notary;
mod once;
pub mod price;
pub mod rows;
pub mod safety;
