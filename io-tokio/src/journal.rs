//! The journal of one machine of this process: what it was made from, all it was told, and a hash of all it said. See
//! [`labman_proto_core::journal`] for what is in it; `labman-sim replay` reads it.
//!
//! ```text
//!   nursery: a life ---+
//!   actor: each call --+--> bounded queue --> thread: one file, flushed whenever nothing waits
//! ```
//!
//! A record is complete before the next call, so a journal that a crash cuts off ends with the last call but a few. A disk
//! that is slower than the machine slows the machine down; one that fails ends the journal, with an error line, and
//! nothing else.
//!
//! What is absent: rotation. A file that is there is appended to, process after process, as long as its disk takes it.

mod file;
mod thread;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use labman_proto_core::identity::Identity;
use labman_proto_core::journal::{self, Cause, Fault, Header, Outcome, Tally};
use labman_proto_core::machine::Output;
use labman_proto_core::rng::Seed;
use labman_proto_core::store::Snapshot;
use labman_proto_core::time::Now;

use crate::error::StartError;
use thread::Writer;

/// An open journal. Its thread ends when the last of these is gone.
#[derive(Clone)]
pub struct Journal {
    writer: Writer,
    /// Made since the last record.
    signatures: Arc<Mutex<Vec<[u8; 64]>>>,
}

/// The records of one life.
pub(crate) struct Account {
    journal: Journal,
    tally: Tally,
    /// The call that is under way.
    record: Vec<u8>,
}

impl Journal {
    /// Makes the file, for its owner alone, or goes on with one that is there: a record that a crash cut off is cut away.
    pub fn open(path: &Path, header: &Header) -> Result<Self, StartError> {
        let end = file::open(path)
            .map_err(|error| StartError::Journal { path: path.into(), what: error.to_string() })?;
        let writer = Writer::start(path, end)
            .map_err(|error| StartError::Journal { path: path.into(), what: error.to_string() })?;
        let mut record = Vec::new();
        journal::put_header(header, &mut record);
        writer.write(record);
        Ok(Self { writer, signatures: Arc::default() })
    }

    /// The same identity, whose signatures are recorded here. A journal without them can't be replayed.
    pub fn witness(&self, identity: Identity) -> Identity {
        let signatures = self.signatures.clone();
        identity.witnessed_by(move |signature| {
            signatures.lock().unwrap_or_else(PoisonError::into_inner).push(*signature);
        })
    }

    /// A machine was made, or (`fault`) could not be.
    pub(crate) fn life(&self, now: Now, seed: Seed, snapshot: &Snapshot, fault: Option<Fault>) -> Account {
        let tally = Tally::default();
        let outcome = self.outcome(&tally, fault);
        let mut record = Vec::new();
        journal::put_life(now, seed, snapshot, &outcome, &mut record);
        self.writer.write(record);
        Account { journal: self.clone(), tally, record: Vec::new() }
    }

    /// Ends it in order, after everything that was recorded before.
    pub(crate) async fn close(self) {
        self.writer.close().await;
    }

    fn outcome(&self, tally: &Tally, fault: Option<Fault>) -> Outcome {
        let mut signatures = self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome { signatures: std::mem::take(&mut *signatures), fault, said: tally.said() }
    }
}

impl Account {
    /// Before the machine takes the input.
    pub(crate) fn call_begins(&mut self, now: Now, cause: &Cause<'_>) {
        journal::put_call(now, cause, &mut self.record);
    }

    pub(crate) fn call_ends<'a>(&mut self, said: impl Iterator<Item = &'a Output>, fault: Option<Fault>) {
        said.for_each(|output| self.tally.output(output));
        let outcome = self.journal.outcome(&self.tally, fault);
        journal::put_outcome(&outcome, &mut self.record);
        self.journal.writer.write(std::mem::take(&mut self.record));
    }
}
