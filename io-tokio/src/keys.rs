//! Secrets on disk, and fresh randomness.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use labman_proto_core::rng::Seed;
use zeroize::Zeroizing;

use crate::error::KeyError;

/// A seed from the operating system.
pub(crate) fn fresh_seed() -> Seed {
    let mut bytes = [0; 32];
    fill(&mut bytes);
    Seed(bytes)
}

/// Reads a node's secret key, 64 hex digits in a file that only its owner may read; makes a new one if there is none.
pub fn load_or_create_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    match load_key(path) {
        Err(KeyError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => create(path),
        found => found,
    }
}

/// Makes a directory, and its parents, that only the owner may enter. One that is there stays as it is.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads a node's secret key, which must be there.
pub fn load_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let failed = |error| KeyError::Io { path: path.into(), error };
    let malformed = || KeyError::Malformed { path: path.into() };
    let mut file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(128));
    Read::by_ref(&mut file).take(128).read_to_end(&mut text).map_err(failed)?;
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii(), secret.as_mut_slice()).map_err(|_| malformed())?;
    Ok(secret)
}

/// Written aside, synced, then linked into place: a crash leaves no half key, and of two starters one wins.
fn create(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let failed = |error| KeyError::Io { path: path.into(), error };
    let dir = path.parent().unwrap_or(Path::new(""));
    private_dir(dir).map_err(failed)?;

    let mut secret = Zeroizing::new([0; 32]);
    fill(secret.as_mut_slice());
    let mut text = Zeroizing::new([0; 65]);
    let (digits, newline) = text.split_at_mut(64);
    hex::encode_to_slice(secret.as_slice(), digits).map_err(|_| failed(io::ErrorKind::InvalidData.into()))?;
    newline.fill(b'\n');

    let mut suffix = [0; 8];
    fill(&mut suffix);
    let aside = path.with_extension(format!("new-{}", hex::encode(suffix)));
    let linked = write_private(&aside, text.as_slice()).and_then(|()| fs::hard_link(&aside, path));
    // Whatever came of it, the file aside has served.
    let _ = fs::remove_file(&aside);
    match linked {
        Ok(()) => {
            File::open(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
                .and_then(|dir| dir.sync_all())
                .map_err(failed)?;
            Ok(secret)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load_key(path),
        Err(error) => Err(failed(error)),
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Of a request that is answered without its machine.
pub(crate) fn fresh_id() -> [u8; 16] {
    let mut id = [0; 16];
    fill(&mut id);
    id
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has no randomness to give: nothing secure can start");
}
