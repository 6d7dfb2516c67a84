//! The journal's thread: numbers the records, and keeps the disk out of the machine's way.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use labman_proto_core::journal;
use tokio::sync::oneshot;

use super::file::End;

/// Records that wait for the disk. The machine waits with a further one.
const QUEUE: usize = 1024;
/// Bytes that are written at once, while there are more.
const BUFFER: usize = 256 * 1024;

#[derive(Clone)]
pub(super) struct Writer(SyncSender<Order>);

enum Order {
    Record(Vec<u8>),
    Close(oneshot::Sender<()>),
}

impl Writer {
    pub(super) fn start(path: &Path, end: End) -> io::Result<Self> {
        let (orders, inbox) = sync_channel(QUEUE);
        let path = path.to_path_buf();
        thread::Builder::new().name("journal".into()).spawn(move || write(path, end, inbox))?;
        Ok(Self(orders))
    }

    /// Of a journal that has failed nothing is heard any more: its thread has said so.
    pub(super) fn write(&self, record: Vec<u8>) {
        let _ = self.0.send(Order::Record(record));
    }

    pub(super) async fn close(self) {
        let (reply, closed) = oneshot::channel();
        let _ = self.0.send(Order::Close(reply));
        let _ = closed.await;
    }
}

fn write(path: PathBuf, end: End, inbox: Receiver<Order>) {
    let records = Records { file: BufWriter::with_capacity(BUFFER, end.file), number: end.number };
    match records.take(inbox) {
        // The file is closed by now: whoever waited may open it.
        Ok(Some(closed)) => drop(closed.send(())),
        Ok(None) => {}
        Err(error) => tracing::error!(
            "journal {}: {error}; it ends here, and the daemon goes on without: correct that, and restart it to \
             have a journal again",
            path.display()
        ),
    }
}

struct Records {
    file: BufWriter<File>,
    number: u64,
}

impl Records {
    /// Until somebody closes it, or the last who could write has gone.
    fn take(mut self, inbox: Receiver<Order>) -> io::Result<Option<oneshot::Sender<()>>> {
        while let Ok(first) = inbox.recv() {
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Record(body) => self.put(&body)?,
                    Order::Close(reply) => {
                        let mut end = Vec::new();
                        journal::put_end(&mut end);
                        self.put(&end)?;
                        self.file.flush()?;
                        self.file.get_ref().sync_all()?;
                        return Ok(Some(reply));
                    }
                }
                next = inbox.try_recv().ok();
            }
            // Nothing waits: what a crash would lose is what the machine does from here on.
            self.file.flush()?;
        }
        Ok(None)
    }

    fn put(&mut self, body: &[u8]) -> io::Result<()> {
        let framed = journal::frame(self.number, body)
            .ok_or_else(|| io::Error::other("the store is too large for it"))?;
        self.number += 1;
        self.file.write_all(&framed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_fails_ends_the_journal_and_keeps_nobody_waiting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // Opened for reading: no write can succeed.
        let end = End { file: File::open(file.path()).unwrap(), number: 0 };
        let writer = Writer::start(file.path(), end).unwrap();
        for _ in 0..3 * QUEUE {
            writer.write(vec![0; 1000]);
        }
        writer.close().await;
        assert_eq!(file.as_file().metadata().unwrap().len(), 0);
    }
}
