//! Gives a machine its sockets and its store, and another life when it panics or stops.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use labman_proto_core::journal::Fault;
use labman_proto_core::limits;
use labman_proto_core::machine::Machine;
use labman_proto_core::rng::Seed;
use labman_proto_core::store::{BadRow, Snapshot};
use labman_proto_core::time::Now;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::actor::{Actor, Effects, panic_text};
use crate::clock::Clock;
use crate::config::IoConfig;
use crate::error::StartError;
use crate::http::listeners::Listeners;
use crate::journal::{Account, Journal};
use crate::keys::fresh_seed;
use crate::port::{Happening, Port};
use crate::quic::{self, Mesh};
use crate::standin::Standin;
use crate::store::Store;

/// Inputs that wait for the machine. Further ones wait in their sockets.
const QUEUE: usize = 1024;
/// How long a machine may take to leave: it bounds that itself.
const PATIENCE: Duration =
    Duration::from_millis(limits::LEAVE.as_millis() + limits::FAREWELL.as_millis() + 5_000);
/// How long what it answered last may take to its callers.
const DRAIN: Duration = Duration::from_secs(5);
/// How long peers get to hear that this process goes.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pause before a failed machine's next life: doubles from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(10);
/// Callers wait out a shorter pause in the kernel. During a longer one they are told.
const PAUSE_UNTOLD: Duration = Duration::from_secs(1);
/// A life that lasted this long was a good one: the next pause is the first again.
const GOOD_LIFE: Duration = Duration::from_secs(60);

/// A machine at work. Dropping it stops the machine too, without waiting for anything.
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    failure: Option<oneshot::Receiver<StartError>>,
    supervisor: JoinHandle<()>,
}

/// Starts a machine on its sockets. `make` is called with the store's rows, now and whenever the machine must be
/// rebuilt, each time with another seed: a life that drew what an earlier one drew would give out its ids and keys again.
pub async fn start<M: Machine + 'static>(
    io: IoConfig,
    make: impl FnMut(&Snapshot, Seed, Now) -> Result<M, BadRow> + Send + 'static,
) -> Result<Running, StartError> {
    let store_path = io.store.as_ref().map(|store| store.path.clone()).unwrap_or_default();
    let store = match io.store {
        Some(config) => Some(Store::open(config).await?),
        None => None,
    };
    let journal = io.journal;
    let mut nursery = Nursery { store: store.clone(), store_path, journal, clock: Clock::start(), make };
    let started = async {
        let mesh = io.mesh.map(Mesh::new).transpose()?.map(Arc::new);
        let portmans = (io.portman_socket, io.portman_door);
        let listeners = Listeners::open(io.public_http, io.public_tls, portmans, io.admin, io.http)?;
        let first = nursery.raise().await.map_err(Stillborn::into_error)?;
        Ok((mesh, listeners, first))
    };
    let (mesh, listeners, first) = match started.await {
        Ok(started) => started,
        Err(error) => {
            // Whoever corrects the reason and starts again finds the store free.
            if let Some(store) = store {
                store.close().await;
            }
            return Err(error);
        }
    };

    let (name, labman_inside, heartbeat) = (io.name.into(), io.labman_inside, io.heartbeat);
    let effects = Effects { name, mesh, store, labman_inside, heartbeat };
    let (stop, stopping) = oneshot::channel();
    let (fail, failure) = oneshot::channel();
    let supervisor = tokio::spawn(supervise(first, nursery, effects, listeners, stopping, fail));
    Ok(Running { stop: Some(stop), failure: Some(failure), supervisor })
}

impl Running {
    /// Stops accepting, asks the machine to leave and waits until it has, closes the mesh connections, and syncs the store.
    pub async fn stop(mut self) {
        self.stop.take();
        if (&mut self.supervisor).await.is_err() {
            tracing::error!("the driver panicked while stopping; this is a bug, please report it");
        }
    }

    /// Resolves only if the machine can't be restarted: nothing works any more, and a person must look at the reason.
    pub async fn failed(&mut self) -> StartError {
        if let Some(failure) = &mut self.failure
            && let Ok(error) = failure.await
        {
            self.failure = None;
            return error;
        }
        pending().await
    }
}

async fn supervise<M, F>(
    first: Born<M>,
    mut nursery: Nursery<F>,
    effects: Effects,
    listeners: Listeners,
    mut stopping: oneshot::Receiver<()>,
    fail: oneshot::Sender<StartError>,
) where
    M: Machine + 'static,
    F: FnMut(&Snapshot, Seed, Now) -> Result<M, BadRow> + Send,
{
    let mut pause = PAUSE_FIRST;
    let mut raised = Ok(first);
    loop {
        let born = Instant::now();
        let why = match raised {
            Ok(born) => match live(born, nursery.clock, &effects, &listeners, &mut stopping).await {
                Some(Fault::Panicked(what)) => format!("panicked: {what}; this is a bug, please report it"),
                Some(Fault::Stopped(what)) => format!("stopped: {what}"),
                None => break,
            },
            Err(Stillborn::Panicked(what)) => format!("panicked while starting: {what}"),
            Err(Stillborn::Hopeless(error)) => {
                tracing::error!(name = &*effects.name, "can't be restarted: {error}");
                let _ = fail.send(error);
                break;
            }
        };
        if born.elapsed() >= GOOD_LIFE {
            pause = PAUSE_FIRST;
        }
        tracing::error!(
            name = &*effects.name,
            "{why}; restarting from the store in {} ms",
            pause.as_millis()
        );
        let stopped = tokio::select! {
            () = sleep(pause) => false,
            _ = &mut stopping => true,
            () = stand_in(why, nursery.clock, &effects, &listeners), if pause > PAUSE_UNTOLD => false,
        };
        if stopped {
            break;
        }
        pause = (pause * 2).min(PAUSE_LAST);
        raised = nursery.raise().await;
    }
    drop(listeners);
    if let Some(mesh) = &effects.mesh {
        let _ = timeout(FAREWELL, mesh.close()).await;
    }
    if let Some(store) = effects.store {
        store.close().await;
    }
    if let Some(journal) = nursery.journal {
        journal.close().await;
    }
}

/// One life of a machine. `None`: it ended because the process was asked to stop.
async fn live<M: Machine>(
    born: Born<M>,
    clock: Clock,
    effects: &Effects,
    listeners: &Listeners,
    stopping: &mut oneshot::Receiver<()>,
) -> Option<Fault> {
    let (generation, alive) = watch::channel(());
    let fault = serve(born, clock, effects, listeners, alive, stopping).await;
    // The sockets are free for the next life once the last task has gone.
    generation.send_replace(());
    if timeout(FAREWELL, generation.closed()).await.is_err() {
        tracing::warn!(name = &*effects.name, "a task of the ended machine lingers");
    }
    fault
}

/// Answers in a machine's stead. Ends when it is dropped.
async fn stand_in(why: String, clock: Clock, effects: &Effects, listeners: &Listeners) {
    let (_generation, alive) = watch::channel(());
    let (sender, inputs) = mpsc::channel(QUEUE);
    let (_drain, draining) = watch::channel(false);
    let port = Port::new(sender, alive);
    listeners.serve_http(&port, draining);
    let heartbeat = effects.heartbeat.clone();
    let name = effects.name.clone();
    let effects = Effects { name, mesh: None, store: None, labman_inside: None, heartbeat };
    // It neither fails nor is it asked to leave.
    let _ = Actor::new(Standin::new(why), None, clock, port, inputs, effects).run().await;
}

async fn serve<M: Machine>(
    Born { machine, account }: Born<M>,
    clock: Clock,
    effects: &Effects,
    listeners: &Listeners,
    alive: watch::Receiver<()>,
    stopping: &mut oneshot::Receiver<()>,
) -> Option<Fault> {
    let (sender, inputs) = mpsc::channel(QUEUE);
    let (drain, draining) = watch::channel(false);
    let port = Port::new(sender, alive);
    listeners.serve(&port, draining);
    if let Some(mesh) = &effects.mesh {
        port.spawn(quic::accept(mesh.clone(), port.clone()));
    }

    let mut actor = pin!(Actor::new(machine, account, clock, port.clone(), inputs, effects.clone()).run());
    tokio::select! {
        ended = &mut actor => return ended.err(),
        _ = stopping => {}
    }
    drain.send_replace(true);
    let asked = async {
        port.send(Happening::Leave).await;
        sleep(PATIENCE).await;
    };
    tokio::select! {
        ended = actor => if let Err(fault) = ended {
            tracing::error!(name = &*effects.name, "ended while it was leaving: {fault:?}");
        },
        () = asked => tracing::error!(name = &*effects.name, "does not leave; this is a bug, please report it"),
    }
    // Whoever still serves holds a receiver.
    let _ = timeout(DRAIN, drain.closed()).await;
    None
}

/// Makes machines from the store.
struct Nursery<F> {
    store: Option<Store>,
    store_path: PathBuf,
    journal: Option<Journal>,
    clock: Clock,
    make: F,
}

/// A machine at the beginning of its life, and where that is recorded.
struct Born<M> {
    machine: M,
    account: Option<Account>,
}

enum Stillborn {
    /// Perhaps it was the moment: try again.
    Panicked(String),
    Hopeless(StartError),
}

impl<M, F: FnMut(&Snapshot, Seed, Now) -> Result<M, BadRow>> Nursery<F> {
    async fn raise(&mut self) -> Result<Born<M>, Stillborn> {
        let snapshot = match &self.store {
            Some(store) => store.snapshot().await.map_err(Stillborn::Hopeless)?,
            None => Snapshot::default(),
        };
        let (now, seed) = (self.clock.now(), fresh_seed());
        let made = catch_unwind(AssertUnwindSafe(|| (self.make)(&snapshot, seed, now)));
        let (machine, fault) = match made {
            Ok(Ok(machine)) => (Ok(machine), None),
            Ok(Err(row)) => {
                let fault = Fault::Stopped(row.to_string());
                (
                    Err(Stillborn::Hopeless(StartError::Row { path: self.store_path.clone(), row })),
                    Some(fault),
                )
            }
            Err(panic) => {
                let what = panic_text(&*panic);
                (Err(Stillborn::Panicked(what.clone())), Some(Fault::Panicked(what)))
            }
        };
        let account = self.journal.as_ref().map(|journal| journal.life(now, seed, &snapshot, fault));
        machine.map(|machine| Born { machine, account })
    }
}

impl Stillborn {
    fn into_error(self) -> StartError {
        match self {
            Self::Panicked(what) => StartError::Panicked { what },
            Self::Hopeless(error) => error,
        }
    }
}
