//! Writes through io-tokio's store: a machine that always has so many of them under way.

use std::path::Path;
use std::time::{Duration, Instant};

use labman_io_tokio::{IoConfig, StoreConfig};
use labman_proto_core::machine::{Completion, Input, Machine, Outbox, Output};
use labman_proto_core::node::Node;
use labman_proto_core::store::Write;
use labman_proto_core::time::{Now, Wake};
use tokio::sync::mpsc;

/// Writes that wait for the disk at any moment.
pub(crate) const OUTSTANDING: usize = 4096;

struct Pump {
    out: Outbox,
    rest: std::vec::IntoIter<Vec<Write>>,
    open: usize,
    begun: Instant,
    over: mpsc::UnboundedSender<Duration>,
}

impl Pump {
    fn new(batches: Vec<Vec<Write>>, over: mpsc::UnboundedSender<Duration>) -> Self {
        let mut pump =
            Self { out: Outbox::default(), rest: batches.into_iter(), open: 0, begun: Instant::now(), over };
        (0..OUTSTANDING).for_each(|_| pump.ask());
        pump
    }

    fn ask(&mut self) {
        if let Some(batch) = self.rest.next() {
            self.out.store(batch);
            self.open += 1;
        }
    }
}

impl Machine for Pump {
    fn handle(&mut self, _now: Now, input: Input<'_>) {
        let Input::Done(_, Completion::Stored(stored)) = input else { return };
        stored.expect("the store takes it");
        self.open -= 1;
        self.ask();
        if self.open == 0 {
            let _ = self.over.send(self.begun.elapsed());
        }
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        None
    }

    fn stopped(&self) -> Option<&str> {
        None
    }
}

/// How long a node's store takes until all are durable.
pub(crate) async fn through_the_store(path: &Path, batches: &[Vec<Write>]) -> Duration {
    let (over, mut is_over) = mpsc::unbounded_channel();
    let mut batches = Some(batches.to_vec());
    let store = Some(StoreConfig { path: path.into(), tables: Node::TABLES });
    let io = IoConfig { store, ..IoConfig::default() };
    let running = labman_io_tokio::start(io, move |_, _, _| {
        Ok(Pump::new(batches.take().unwrap_or_default(), over.clone()))
    });
    let running = running.await.expect("a store in a directory of its own opens");
    let took = is_over.recv().await.expect("every write is answered");
    running.stop().await;
    took
}
