//! The checkers: what must hold in every run, whatever the scenario. Each finding is one line for a person.
//!
//! They recompute nothing of the machines' own: what a job must have produced and cost is asked of the core's functions.

pub mod ledger;
pub mod liveness;
pub mod safety;
