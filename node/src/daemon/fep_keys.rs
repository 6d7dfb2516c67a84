//! A FEP's key files.
//!
//! ```text
//!   root.key         signs key rings and nothing else. Only `labman-fep signing-key` reads it: it may be elsewhere
//!   signing-N.key    sign for the FEP, each for a time; read when the daemon starts
//!   keys.ring        the founding key ring, in hex. Public, and never changed: it says whose FEP this is
//! ```
//!
//! All are made where there are none. The ring in force is in the ledger's store, once there is another.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use labman_io_tokio::{Zeroizing, load_key, load_or_create_key, now_wall};
use labman_proto_core::identity::{FepId, FepKey, Identity, Network};
use labman_proto_core::keys::{Keys, next_serial};
use labman_proto_core::wire::keys::{CertifiedKey, KeyRing};
use labman_proto_core::wire::object;

use super::{DataDir, Failure};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// A first key is valid from a little while ago on: others' clocks may be behind.
const HOUR_MS: u64 = 3600 * 1000;
/// How long a key is valid unless its operator says otherwise.
pub const DAYS: u64 = 365;

/// The key files of one FEP, all of them there but perhaps the root.
pub struct FepKeys {
    directory: PathBuf,
    /// As it stands in its file.
    pub founding: Vec<u8>,
    pub fep_id: FepId,
}

impl FepKeys {
    /// Makes what is not there: a root, a signing key, and the ring by which the one certifies the other.
    pub fn open(dir: &DataDir, network: &str) -> Result<Self, Failure> {
        let directory = dir.path().to_path_buf();
        let file = directory.join("keys.ring");
        let founding = match fs::read_to_string(&file) {
            Ok(text) => unhex(&text).map_err(|why| bad(&file, why))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => found(&directory, &file, network)?,
            Err(error) => return Err(bad(&file, error)),
        };
        let keys = Keys::open(Network::of(network), None, &founding)
            .map_err(|why| bad(&file, format!("{why}; is `network` what it was when it was made?")))?;
        Ok(Self { directory, founding, fep_id: keys.fep_id() })
    }

    pub fn root_file(&self) -> PathBuf {
        self.directory.join("root.key")
    }

    /// All signing keys of the directory, whether or not they are certified.
    pub fn secrets(&self) -> Result<Vec<Zeroizing<[u8; 32]>>, Failure> {
        let numbers = numbers(&self.directory)?;
        let secrets = numbers.iter().map(|number| load_key(&signing_file(&self.directory, *number)));
        secrets.collect::<Result<_, _>>().map_err(|why| Failure::Key(why.to_string()))
    }

    /// One key more; its file, and what it is called.
    pub fn new_signing_key(&self) -> Result<(PathBuf, FepKey), Failure> {
        let number = numbers(&self.directory)?.last().map_or(1, |last| last + 1);
        let file = signing_file(&self.directory, number);
        let secret = load_or_create_key(&file).map_err(|why| Failure::Key(why.to_string()))?;
        Ok((file, Identity::from_secret(&secret).fep_key()))
    }
}

/// A root, read from its file.
pub fn root(file: &Path) -> Result<Identity, String> {
    let secret = load_key(file).map_err(|why| why.to_string())?;
    Ok(Identity::from_secret(&secret))
}

/// Signs a ring; who calls has seen that it follows the one before.
pub fn sign(root: &Identity, network: Network, ring: KeyRing) -> Vec<u8> {
    object::seal(root, network.id, ring).bytes.0
}

pub fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.trim().as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = pairs.iter().map(byte).collect::<Option<Vec<_>>>().filter(|_| rest.is_empty());
    bytes.ok_or_else(|| "it is not a key ring in hex".to_string())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn found(directory: &Path, file: &Path, network: &str) -> Result<Vec<u8>, Failure> {
    let (root_file, first) = (directory.join("root.key"), signing_file(directory, 1));
    if !root_file.exists() && first.exists() {
        let why = "it is gone, and so is root.key: put one of them back";
        return Err(bad(file, why));
    }
    let create = |path: &Path| load_or_create_key(path).map_err(|why| Failure::Key(why.to_string()));
    let (root, first) = (create(&root_file)?, create(&first)?);
    let (root, now) = (Identity::from_secret(&root), now_wall());
    let key = CertifiedKey {
        key: Identity::from_secret(&first).fep_key(),
        from_ms: now.0.saturating_sub(HOUR_MS),
        until_ms: now.0.saturating_add(DAYS * DAY_MS),
        revoked_from_ms: None,
    };
    let ring = KeyRing { fep_id: root.fep_id(), serial: next_serial(None, now), keys: vec![key] };
    let ring = sign(&root, Network::of(network), ring);
    write_whole(file, &hex(&ring)).map_err(|error| bad(file, error))?;
    Ok(ring)
}

/// Aside, synced, then renamed into place: a crash leaves all of it or nothing.
pub fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut aside = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(aside, "{text}")?;
    aside.as_file().sync_all()?;
    aside.persist(file).map_err(|error| error.error)?;
    fs::File::open(directory)?.sync_all()
}

fn signing_file(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("signing-{number}.key"))
}

/// Of the signing keys that are there, rising.
fn numbers(directory: &Path) -> Result<Vec<u64>, Failure> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| bad(directory, error))? {
        let name = entry.map_err(|error| bad(directory, error))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("signing-")?.strip_suffix(".key"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn bad(file: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::Key(format!("{}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_the_root_may_then_be_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&directory.path().join("fep")).unwrap();
        let made = FepKeys::open(&dir, "keys").unwrap();
        fs::remove_file(made.root_file()).unwrap();
        let again = FepKeys::open(&dir, "keys").unwrap();
        assert_eq!((again.fep_id, &again.founding), (made.fep_id, &made.founding));
        assert_eq!(again.secrets().unwrap().len(), 1);
        let (file, key) = again.new_signing_key().unwrap();
        assert!(file.ends_with("signing-2.key"));
        assert_eq!(Identity::from_secret(&again.secrets().unwrap()[1]).fep_key(), key);
    }

    #[test]
    fn files_that_can_t_be_used_are_named_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&directory.path().join("fep")).unwrap();
        let made = FepKeys::open(&dir, "keys").unwrap();
        let why = |network: &str| FepKeys::open(&dir, network).err().unwrap().to_string();
        let elsewhere = why("another");
        assert!(elsewhere.contains("keys.ring") && elsewhere.contains("`network`"), "{elsewhere}");
        fs::write(dir.path().join("keys.ring"), "what").unwrap();
        assert!(why("keys").contains("in hex"));
        fs::remove_file(dir.path().join("keys.ring")).unwrap();
        fs::remove_file(made.root_file()).unwrap();
        assert!(why("keys").contains("put one of them back"));
        assert!(!made.root_file().exists(), "no other FEP is made in its place");
    }
}
