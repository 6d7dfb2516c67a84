//! A Portman in its labman's process: the same socket, through memory, so that what crosses it costs no system calls.

use std::sync::Arc;

use tokio::io::{DuplexStream, duplex};
use tokio::sync::{Mutex, mpsc};

/// What either end may have written that the other has not read, in bytes.
const BUFFER: usize = 64 * 1024;
/// Portmans that wait to be let in.
const WAITING: usize = 16;

/// The labman's side. Outlives its machine.
#[derive(Clone)]
pub struct Door(Arc<Mutex<mpsc::Receiver<DuplexStream>>>);

/// The Portmans' side.
#[derive(Clone)]
pub struct WayIn(mpsc::Sender<DuplexStream>);

/// A way from Portmans to the labman of the same process.
pub fn door() -> (Door, WayIn) {
    let (way_in, door) = mpsc::channel(WAITING);
    (Door(Arc::new(Mutex::new(door))), WayIn(way_in))
}

impl Door {
    /// The next that comes in. `None`: no more will.
    pub(crate) async fn accept(&self) -> Option<DuplexStream> {
        self.0.lock().await.recv().await
    }
}

impl WayIn {
    pub(super) async fn enter(&self) -> Result<DuplexStream, &'static str> {
        let (ours, theirs) = duplex(BUFFER);
        self.0.send(theirs).await.map_err(|_| "the labman of this process is gone")?;
        Ok(ours)
    }
}
