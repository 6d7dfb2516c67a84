//! Tells the program which one it is: `LABMAN_SIM_BUILD`, its version and a hash of all that a run depends on but scenario and
//! seed: the core's sources, the simulator's, the data that is compiled in, and the versions of the dependencies.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Beside this package. What is not there, such as the lock file where another workspace builds this, is not looked at.
const INPUTS: [&str; 4] = ["../proto-core/src", "src", "../scenarios/data", "../Cargo.lock"];

fn main() -> io::Result<()> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut hasher = blake3::Hasher::new();
    for input in INPUTS {
        let path = package.join(input);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
            hash(&mut hasher, input, &path)?;
        }
    }
    // A build with deliberate defects is another.
    let mutants = env::var_os("CARGO_CFG_LABMAN_MUTANTS").is_some();
    hasher.update(&[u8::from(mutants)]);
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo::rustc-env=LABMAN_SIM_BUILD={version}+{}", &hasher.finalize().to_hex()[..16]);
    Ok(())
}

/// Names and contents, in the order of names: where a folder is, and when it was written, changes nothing.
fn hash(hasher: &mut blake3::Hasher, name: &str, path: &Path) -> io::Result<()> {
    if path.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name());
        }
        names.sort();
        for file in names {
            hash(hasher, &format!("{name}/{}", file.to_string_lossy()), &path.join(&file))?;
        }
        return Ok(());
    }
    let bytes = fs::read(path)?;
    for part in [name.as_bytes(), &bytes] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Ok(())
}
