//! A socket whose requests' heads are looked at for a body of two lengths. hyper goes by one of them and hides the other; a server
//! before this one may have gone by that, and its next request would begin elsewhere.
//!
//! A head that comes in one piece with the end of the body before it is not looked at. hyper ends the connection after each of
//! two lengths, so nothing that follows is taken for a request.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct HeadWatch<S> {
    socket: S,
    heads: Arc<Heads>,
}

/// The head that is coming in.
pub(super) struct Heads {
    state: Mutex<State>,
    /// Longer ones are no requests.
    most: usize,
}

enum State {
    /// The last line, as far as it came; which lengths there were; and how long all was.
    Reading { line: Vec<u8>, begun: bool, lengths: Lengths, bytes: usize },
    /// The request that it began is under way.
    Read(Lengths),
}

#[derive(Clone, Copy, Default)]
struct Lengths {
    counted: bool,
    chunked: bool,
}

impl State {
    const fn first() -> Self {
        Self::Reading {
            line: Vec::new(),
            begun: false,
            lengths: Lengths { counted: false, chunked: false },
            bytes: 0,
        }
    }
}

impl Heads {
    pub(super) fn up_to(most: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::first()), most })
    }

    /// Whether the request under way says its length twice.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(*self.lock(), State::Read(Lengths { counted: true, chunked: true }))
    }

    /// What comes next is a head again.
    pub(super) fn next(&self) {
        *self.lock() = State::first();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn came(&self, piece: &[u8]) {
        let mut state = self.lock();
        let State::Reading { line, begun, lengths, bytes } = &mut *state else { return };
        *bytes += piece.len();
        if *bytes > 2 * self.most {
            *state = State::Read(Lengths::default());
            return;
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                return;
            }
            let is_empty = line.as_slice() == b"\r\n" || line.as_slice() == b"\n";
            if is_empty && !*begun {
                // Before a request there may be some.
                line.clear();
                continue;
            }
            *begun = true;
            if is_empty {
                *state = State::Read(*lengths);
                return;
            }
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            lengths.counted |= name.eq_ignore_ascii_case(b"content-length");
            lengths.chunked |= name.eq_ignore_ascii_case(b"transfer-encoding");
            line.clear();
        }
    }
}

impl<S> HeadWatch<S> {
    pub(super) fn new(socket: S, heads: Arc<Heads>) -> Self {
        Self { socket, heads }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadWatch<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        self.heads.came(&buf.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadWatch<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(head: &str, cut: usize) -> bool {
        let heads = Heads::up_to(1024);
        head.as_bytes().chunks(cut).for_each(|piece| heads.came(piece));
        heads.is_ambiguous()
    }

    #[test]
    fn two_lengths_are_seen_however_they_are_written_and_cut() {
        let both =
            "POST / HTTP/1.1\r\nContent-Length: 4\r\nhost: a\r\nTRANSFER-encoding: chunked\r\n\r\n0\r\n\r\n";
        let one = "POST / HTTP/1.1\r\nx-content-length: 4\r\ntransfer-encoding: chunked\r\n\r\ncontent-length: 4\r\n\r\n";
        for cut in 1..both.len() {
            assert!(judged(both, cut) && !judged(one, cut), "{cut}");
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_no_head() {
        let head = "POST / HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(judged(&format!("\r\n\n\r\n{head}"), 3));
    }

    #[test]
    fn each_request_is_judged_by_its_own_head() {
        let heads = Heads::up_to(1024);
        heads.came(b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody");
        heads.next();
        heads.came(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
        assert!(!heads.is_ambiguous());
    }
}
