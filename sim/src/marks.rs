//! What happened in a run, counted: faults that bit, and states that a thorough search must have seen sometimes.
//!
//! A fault that was injected and touched nothing does not count: a partition that held back no byte proved nothing. One
//! of a host itself (its clock, the speed of its disk, what its disk forgot) touches it at once.

use std::collections::BTreeMap;

/// What must have been seen when enough worlds were searched.
pub const SOMETIMES: &[&str] = &[
    "a crash lost a write",
    "a dial met a NAT",
    "a host died while it was writing",
    "a job completed",
    "a job failed",
    "a job refused",
    "a link starved",
    "a machine refused to start on a torn store",
    "a machine stopped because it could not write",
    "a socket was closed on who read nothing",
    "a write outlived a crash that nobody was told of",
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub faults: BTreeMap<String, u64>,
    pub sometimes: BTreeMap<String, u64>,
    /// Of [`THREATS`](crate::threats::THREATS).
    pub threats: BTreeMap<String, u64>,
}

impl Marks {
    /// A fault of that kind bit.
    pub fn fired(&mut self, fault: &str) {
        count(&mut self.faults, fault, 1);
    }

    pub fn fired_times(&mut self, fault: &str, times: u64) {
        if times > 0 {
            count(&mut self.faults, fault, times);
        }
    }

    pub fn fired_if(&mut self, bit: bool, fault: &str) {
        if bit {
            self.fired(fault);
        }
    }

    /// Somebody tried it.
    pub fn tried(&mut self, threat: &str, times: u64) {
        if times > 0 {
            count(&mut self.threats, threat, times);
        }
    }

    /// Something happened that should, sometimes.
    pub fn note(&mut self, what: &str) {
        count(&mut self.sometimes, what, 1);
    }

    pub fn note_if(&mut self, happened: bool, what: &str) {
        if happened {
            self.note(what);
        }
    }

    pub fn add(&mut self, others: &Self) {
        for (fault, times) in &others.faults {
            count(&mut self.faults, fault, *times);
        }
        for (threat, times) in &others.threats {
            count(&mut self.threats, threat, *times);
        }
        for (what, times) in &others.sometimes {
            count(&mut self.sometimes, what, *times);
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str, times: u64) {
    match counts.get_mut(name) {
        Some(so_far) => *so_far += times,
        None => {
            counts.insert(name.to_owned(), times);
        }
    }
}
