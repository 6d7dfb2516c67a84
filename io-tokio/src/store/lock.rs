//! Keeps two processes off one store, and still lets a person read it with `sqlite3` while the daemon runs: the lock is a
//! file beside it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::StartError;

/// Held until dropped, or until the process dies. The file itself stays: removing it would race with the next holder.
pub(super) struct StoreLock {
    _file: File,
}

pub(super) fn take(store: &Path) -> Result<StoreLock, StartError> {
    let failed = |error: io::Error| StartError::Store { path: store.into(), what: format!("its lock file: {error}") };
    let mut path = store.as_os_str().to_owned();
    path.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(PathBuf::from(path))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(StoreLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(StartError::StoreInUse { path: store.into() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
