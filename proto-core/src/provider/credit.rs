//! What a Portman may send of a job.

use crate::limits::{PORTMAN_CREDIT_STEP, STREAM_WINDOW};

/// Bytes of chunks that a Portman may still send, and those that it may be granted besides.
pub(crate) struct Credit {
    left: usize,
    due: usize,
}

impl Credit {
    pub(crate) const fn new() -> Self {
        Self { left: STREAM_WINDOW as usize, due: 0 }
    }

    /// The Portman sent so much. False: more than it was granted.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// So much more may come. Gives what is to be granted now.
    pub(crate) fn add(&mut self, bytes: usize) -> Option<u32> {
        self.due += bytes;
        let grant = u32::try_from(self.due).ok().filter(|due| *due >= PORTMAN_CREDIT_STEP)?;
        self.left += core::mem::take(&mut self.due);
        Some(grant)
    }
}
