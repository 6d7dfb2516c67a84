//! What the three binaries' command lines do, one file a binary, and the few things they share.

pub mod fep;
pub mod labmand;
pub mod portman;

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::init;
use crate::signals::Shutdown;
use crate::systemd;

/// Runs a command to its end. An error goes to stderr, on one line where it has one.
pub fn run<E: Display>(command: impl Future<Output = Result<(), E>>) -> ExitCode {
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build() {
            Ok(runtime) => runtime,
            Err(why) => return fail(&format!("can't start: {why}")),
        };
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

/// Half the processors: a machine works on one of them, and what wakes it wakes a thread. On two, a second worker takes a third more
/// of the processor for each token of a stream, and answers no more requests.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |all| all.get() / 2).max(1)
}

/// A command's answer. Whoever closes the pipe has read enough.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn fail(why: &dyn Display) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::FAILURE
}

/// Writes a fresh config for `init`.
fn write_config(path: &Path, toml: &str) -> Result<(), String> {
    init::write_new(path, toml).map_err(|why| match why.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{} is there already; name another file with --out, or move it away", path.display())
        }
        _ => format!("can't write {}: {why}", path.display()),
    })
}

/// Waits until somebody asks the daemon to end, or until it can't go on: then the error says why. `stop` is installed before
/// the daemon starts: who is asked to end in the middle of that ends in order, too.
async fn until_stopped(
    stop: &mut Shutdown,
    name: &str,
    failed: impl Future<Output = labman_io_tokio::StartError>,
) -> Result<(), String> {
    systemd::ready();
    tokio::select! {
        () = stop.asked() => {
            systemd::stopping();
            tracing::info!("{name} stops, when what it has begun is done; ask again to stop at once");
            Ok(())
        }
        why = failed => Err(format!("{name} can't go on: {why}")),
    }
}

/// Waits for the daemon to end in order, unless somebody asks a second time.
pub(crate) async fn in_order(stop: &mut Shutdown, name: &str, ending: impl Future<Output = ()>) {
    tokio::select! {
        () = ending => tracing::info!("{name} has stopped"),
        () = stop.asked() => tracing::info!("{name} has stopped at once"),
    }
}
