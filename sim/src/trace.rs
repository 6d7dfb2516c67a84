//! The trace hash: BLAKE3 over everything that went into a machine and came out, in order, with its time and host.
//!
//! Two runs with the same hash did the same thing. The encoding is the journal's; hashes of different builds say nothing
//! about each other.

mod batch;

use labman_proto_core::journal::{put_input, put_output};
use labman_proto_core::machine::{Input, Output};
use labman_proto_core::time::Time;

use crate::host::HostId;

#[derive(Default)]
pub struct Trace {
    hasher: batch::Hasher,
    record: Vec<u8>,
}

impl Trace {
    pub fn input(&mut self, at: Time, host: HostId, input: &Input<'_>) {
        self.note(at, host, 0, |record| put_input(input, record));
    }

    pub fn timeout(&mut self, at: Time, host: HostId) {
        self.note(at, host, 1, |_| {});
    }

    pub fn output(&mut self, at: Time, host: HostId, output: &Output) {
        self.note(at, host, 2, |record| put_output(output, record));
    }

    /// A machine was started (again).
    pub fn started(&mut self, at: Time, host: HostId) {
        self.note(at, host, 3, |_| {});
    }

    /// A machine ended without a word.
    pub fn died(&mut self, at: Time, host: HostId) {
        self.note(at, host, 4, |_| {});
    }

    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    fn note(&mut self, at: Time, host: HostId, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
        self.record.clear();
        self.record.extend_from_slice(&at.0.to_le_bytes());
        self.record.extend_from_slice(&(host.0 as u64).to_le_bytes());
        self.record.push(kind);
        fill(&mut self.record);
        self.hasher.update(&(self.record.len() as u64).to_le_bytes());
        self.hasher.update(&self.record);
    }
}
