//! What a receipt costs: the provider's disk, the portal's decision, the calls before the work, a crowd on one account,
//! and a million receipts. Real machines, driven by hand; the real store.
//!
//!     cargo run --release -p labman-bench-receipts              a table; --json: for programs
//!
//!     LABMAN_BENCH_ROUNDS=N                                     how often each thing is timed; default 3

mod calls;
mod crowd;
mod deciding;
mod disk;
mod durable;
mod fill;
mod mesh;
mod million;
mod provider;
mod pump;
#[allow(dead_code, reason = "tests need more of it")]
#[path = "../../../proto-core/tests/rig/rings.rs"]
mod rings;
mod sql;
mod table;
mod till;
mod watched;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Whatever goes wrong ends the program with its reason.
type Tried<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Tried<()> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let disk = disk_of_ours()?;
    let told = match arguments.iter().map(|argument| argument.to_str()).collect::<Vec<_>>()[..] {
        [] => return measure(&disk, false),
        [Some("--json")] => return measure(&disk, true),
        // Of this program's own making: see `child`.
        [Some("syncs")] => durable::syncs(&disk)?,
        [Some("provider"), Some(path)] => million::provider(Path::new(path))?,
        [Some("portal"), Some(path)] => million::portal(Path::new(path))?,
        _ => return Err("labman-bench-receipts [--json]".into()),
    };
    println!("{told}");
    Ok(())
}

fn measure(disk: &Path, as_json: bool) -> Tried<()> {
    let rounds =
        std::env::var("LABMAN_BENCH_ROUNDS").ok().map(|rounds| rounds.parse()).transpose()?.unwrap_or(3);
    let mut lines = vec![durable::line(disk, rounds)?, deciding::line(rounds), calls::line(), crowd::line()];
    lines.extend(million::lines(disk)?);
    table::print(&lines, as_json);
    Ok(())
}

/// Beside the program: directories for temporary files are often in memory, where no write waits for anything.
fn disk_of_ours() -> Tried<PathBuf> {
    Ok(std::env::current_exe()?.parent().ok_or("a program is in a directory")?.into())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// What another process of this program measures.
fn child(arguments: &[OsString]) -> Tried<Value> {
    let output = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{arguments:?} failed").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
