//! The file as it is found: a new one, or one to go on with.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use labman_proto_core::journal::{MAGIC, PREFIX, body_length};

/// A journal's file, positioned behind its last whole record.
pub(super) struct End {
    pub(super) file: File,
    /// Of the record that comes next.
    pub(super) number: u64,
}

pub(super) fn open(path: &Path) -> io::Result<End> {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::other("another process is writing it"),
        TryLockError::Error(error) => error,
    })?;
    let (end, number) = survey(&file)?;
    // It may have been copied here with other eyes on it.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    if end == 0 {
        file.write_all(MAGIC)?;
    }
    Ok(End { file, number })
}

/// Where the last whole record ends, and how many records there are. Damage before that is for a reader to name.
fn survey(file: &File) -> io::Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut magic = Vec::new();
    reader.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if !MAGIC.starts_with(&magic) {
        return Err(io::Error::other("is there, and is no journal of this format"));
    }
    if magic.len() < MAGIC.len() {
        return Ok((0, 0));
    }
    let (mut end, mut number) = (MAGIC.len() as u64, 0);
    loop {
        let body_at = end + PREFIX as u64;
        if body_at > length {
            return Ok((end, number));
        }
        let mut prefix = [0; PREFIX];
        reader.read_exact(&mut prefix)?;
        // What a file system left behind may be zeros: no record is empty.
        let Some(body @ 1..) = body_length(&prefix) else { return Ok((end, number)) };
        if body_at + body as u64 > length {
            return Ok((end, number));
        }
        reader.seek_relative(body as i64)?;
        end = body_at + body as u64;
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::journal::frame;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_that_is_there_is_gone_on_with_behind_its_last_whole_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut end = open(&path).unwrap();
        assert_eq!((end.number, mode(&path)), (0, 0o600));
        let (first, second) = (frame(0, b"first").unwrap(), frame(1, b"second").unwrap());
        end.file.write_all(&first).unwrap();
        end.file.write_all(&second[..second.len() - 1]).unwrap();
        drop(end);

        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let end = open(&path).unwrap();
        assert_eq!((end.number, mode(&path)), (1, 0o600), "what was cut off is not counted");
        drop(end);
        assert_eq!(std::fs::read(&path).unwrap(), [MAGIC.as_slice(), &first].concat());
    }

    #[test]
    fn what_is_no_journal_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labman.toml");
        std::fs::write(&path, "network = \"labman\"\n").unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("no journal"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "network = \"labman\"\n");
        assert!(open(Path::new("/dev/null")).err().unwrap().to_string().contains("regular"));
    }

    #[test]
    fn two_processes_do_not_write_one_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let _held = open(&path).unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("another process"));
    }
}
