//! A machine over its real store, with one call made to it and one thing watched for.

use std::path::Path;
use std::time::Instant;

use labman_io_tokio::{IoConfig, StoreConfig};
use labman_proto_core::machine::{Input, Machine, Output};
use labman_proto_core::store::{BadRow, Snapshot, Table};
use labman_proto_core::time::{Now, Wake};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Tried;

struct Watched<M> {
    machine: M,
    /// Called once, before anything else.
    call: Option<fn(&mut M, Now)>,
    awaited: fn(&Output) -> bool,
    seen: mpsc::UnboundedSender<Instant>,
}

impl<M: Machine> Machine for Watched<M> {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.machine.handle(now, input);
    }

    fn handle_timeout(&mut self, now: Now) {
        if let Some(call) = self.call.take() {
            call(&mut self.machine, now);
        }
        if self.machine.poll_timeout().is_some_and(|wake| wake.at <= now.mono) {
            self.machine.handle_timeout(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        loop {
            let output = self.machine.poll_output()?;
            if (self.awaited)(&output) {
                let _ = self.seen.send(Instant::now());
            }
            // Whom it speaks to is not there.
            if matches!(output, Output::Start(..)) {
                return Some(output);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Wake> {
        let first = self.call.map(|_| Wake { at: Default::default(), why: "the call that is watched" });
        Wake::earliest(first, self.machine.poll_timeout())
    }

    fn stopped(&self) -> Option<&str> {
        self.machine.stopped()
    }
}

/// From the opening of the store until the machine has said what is waited for, and the memory then.
pub(crate) async fn watch<M: Machine + 'static>(
    path: &Path,
    tables: &'static [Table],
    mut make: impl FnMut(&Snapshot, Now) -> Result<M, BadRow> + Send + 'static,
    call: Option<fn(&mut M, Now)>,
    awaited: fn(&Output) -> bool,
) -> Tried<Value> {
    let (seen, mut is_seen) = mpsc::unbounded_channel();
    let before = kib("VmRSS:")?;
    let begun = Instant::now();
    let store = Some(StoreConfig { path: path.into(), tables });
    let io = IoConfig { store, ..IoConfig::default() };
    let running = labman_io_tokio::start(io, move |snapshot, _, now| {
        Ok(Watched { machine: make(snapshot, now)?, call, awaited, seen: seen.clone() })
    });
    let running = running.await?;
    let open = begun.elapsed();
    let at = is_seen.recv().await.ok_or("the machine is gone")?;
    let figures = json!({
        "open_ms": open.as_millis() as u64, "took_ms": (at - begun).as_millis() as u64,
        "rss_kib": kib("VmRSS:")?, "peak_kib": kib("VmHWM:")?, "before_kib": before,
    });
    running.stop().await;
    Ok(figures)
}

/// Of this process.
fn kib(name: &str) -> Tried<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("the kernel does not say")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
