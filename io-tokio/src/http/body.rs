//! A body that comes from the machine as it sends it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use labman_proto_core::machine::ResetCode;
use tokio::sync::oneshot;

use crate::stream::{Out, Outgoing};

/// The machine reset the stream in the middle of a body: hyper must not end it as if it were whole.
#[derive(Debug, thiserror::Error)]
#[error("the body was cut off")]
pub(crate) struct CutOff;

/// Reports credit for a frame when hyper asks for the next one: then the frame is in hyper's small write buffer.
pub(super) struct StreamedBody {
    /// Taken from the queue already.
    first: Bytes,
    outgoing: Outgoing,
    owed: usize,
    /// Told when the machine has finished, and dropped with the body.
    finished: Option<oneshot::Sender<()>>,
    /// At a server: a body dropped before its end means that the client has gone.
    reports_loss: bool,
}

impl StreamedBody {
    /// An answer to a client. `finished` is told when its last byte has been handed over.
    pub(super) fn answer(outgoing: Outgoing, finished: oneshot::Sender<()>) -> Self {
        Self { first: Bytes::new(), outgoing, owed: 0, finished: Some(finished), reports_loss: true }
    }

    /// The body of a request of our own, of which `first` was sent already.
    pub(super) fn upload(outgoing: Outgoing, first: Bytes) -> Self {
        Self { first, outgoing, owed: 0, finished: None, reports_loss: false }
    }

    fn end(&mut self) {
        self.reports_loss = false;
        if let Some(finished) = self.finished.take() {
            let _ = finished.send(());
        }
    }
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let owed = std::mem::take(&mut self.owed);
        self.outgoing.took(owed);
        if !self.first.is_empty() {
            self.owed = self.first.len();
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        match ready!(self.outgoing.poll_next(cx)) {
            Some(Out::Send(bytes)) => {
                self.owed = bytes.len();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Out::Finish) => {
                self.end();
                Poll::Ready(None)
            }
            Some(Out::Response(_)) | None => Poll::Ready(Some(Err(CutOff))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Drop for StreamedBody {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length was given, nor for any of one that has none.
        while let Some(out) = self.outgoing.try_next() {
            match out {
                Out::Finish => self.end(),
                Out::Send(_) | Out::Response(_) => {}
            }
        }
        if self.reports_loss {
            self.outgoing.reset_soon(ResetCode::Cancelled);
        }
    }
}
