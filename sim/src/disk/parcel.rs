//! Where packed rows are: in memory as long as all disks together have few, beyond that in a file without a name, which is gone with
//! the process.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Bytes that are kept in memory, of all worlds of the process together.
const ROOM: usize = 64 << 20;

static HERE: AtomicUsize = AtomicUsize::new(0);
static FILE: OnceLock<Option<Mutex<File>>> = OnceLock::new();

#[derive(Debug)]
pub(super) struct Parcel(Place);

#[derive(Debug)]
enum Place {
    Here(Box<[u8]>),
    File { at: u64, length: usize },
}

impl Parcel {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        // A file that can't be written leaves them where they are.
        let filed = if HERE.load(Ordering::Relaxed) < ROOM { None } else { file(&bytes) };
        Self(match filed {
            Some(at) => Place::File { at, length: bytes.len() },
            None => {
                HERE.fetch_add(bytes.len(), Ordering::Relaxed);
                Place::Here(bytes.into())
            }
        })
    }

    /// # Panics
    /// If what was written to the process's own file can't be read any more: then there is nothing to go on with.
    pub(super) fn open(&self) -> Cow<'_, [u8]> {
        match &self.0 {
            Place::Here(bytes) => Cow::Borrowed(bytes),
            Place::File { at, length } => {
                Cow::Owned(read(*at, *length).expect("rows in the simulator's own file can be read"))
            }
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Place::Here(bytes) = &self.0 {
            HERE.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
    }
}

/// Writes them behind all others, and says where that is.
fn file(bytes: &[u8]) -> Option<u64> {
    let file = FILE.get_or_init(|| nameless().ok().map(Mutex::new)).as_ref()?;
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    let at = file.seek(SeekFrom::End(0)).ok()?;
    file.write_all(bytes).ok()?;
    Some(at)
}

/// It loses its name at once: nobody else opens it, and nothing is left of it.
fn nameless() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("labman-sim-rows-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn read(at: u64, length: usize) -> io::Result<Vec<u8>> {
    let file = FILE.get().and_then(Option::as_ref).ok_or(io::ErrorKind::NotFound)?;
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filed_is_read_where_it_was_written() {
        let first = file(b"first").expect("there is a place for files");
        let second = file(b"and the second").expect("there is a place for files");
        assert_eq!(read(second, 14).unwrap(), b"and the second");
        assert_eq!(read(first, 5).unwrap(), b"first");
        assert!(read(second, 1 << 20).is_err(), "there is no more");
        assert_eq!(&*Parcel(Place::File { at: first, length: 5 }).open(), b"first");
        assert_eq!(&*Parcel::of(b"here".to_vec()).open(), b"here");
    }
}
