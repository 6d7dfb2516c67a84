//! One open socket: its stream's bytes both ways, the pings, and its end.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use labman_proto_core::machine::{DownReason, LinkId, ResetCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::port::{Happening, LinkCommand, Port};
use crate::stream::{Incoming, Out, Outgoing};

/// A larger message ends the socket with close code 1009.
const MESSAGE: usize = 1024 * 1024;
/// What is longer goes out as several messages: lines end where their newline is, not where a message does.
const PIECE: usize = 64 * 1024;
const PING_EVERY: Duration = Duration::from_secs(5);
/// A peer of which nothing at all was heard for this long is gone.
const DEAD_AFTER: Duration = Duration::from_secs(15);
/// For the closing handshake.
const FAREWELL: Duration = Duration::from_secs(1);
/// Close codes from here on carry a reset code.
const RESET_BASE: u16 = 4000;
const READ_BUFFER: usize = 16 * 1024;

/// Why a socket ends.
enum Over {
    ClosedByPeer(Option<CloseFrame>),
    Finished,
    Reset(ResetCode),
    ClosedByUs(&'static str),
    TooLarge,
    /// The peer sent what this protocol has no use for.
    NotText,
    Silent,
    Failed(Error),
    /// The machine is gone.
    Abandoned,
}

pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE))
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
}

pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    websocket: WebSocketStream<S>,
    link: LinkId,
    mut orders: mpsc::UnboundedReceiver<LinkCommand>,
    mut outgoing: Outgoing,
    mut incoming: Incoming,
    port: Port,
) {
    let (mut sink, mut source) = websocket.split();
    let mut watch = incoming.watch();
    let over = {
        let all = async {
            tokio::try_join!(
                read(&mut source, &mut incoming),
                write(&mut sink, &mut outgoing),
                obey(&mut orders, &port)
            )
        };
        tokio::select! {
            ended = all => match ended {
                Ok((never, _, _)) => match never {},
                Err(over) => over,
            },
            code = watch.aborted() => Over::Reset(code),
        }
    };
    // Both ends see more in the reason for which the link is closed than in the reset that comes with it.
    let over = match (over, orders.try_recv()) {
        (Over::Reset(_), Ok(LinkCommand::Close(reason))) => Over::ClosedByUs(reason),
        (over, _) => over,
    };
    if let Some(frame) = over.farewell() {
        let _ = timeout(FAREWELL, say_goodbye(sink, source, frame)).await;
    }
    over.tell(&incoming, link, &port).await;
}

/// A socket on which nothing was ever opened.
pub(super) async fn close_unused<S: AsyncRead + AsyncWrite + Unpin>(
    websocket: WebSocketStream<S>,
    link: LinkId,
    port: Port,
) {
    let (sink, source) = websocket.split();
    let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    let _ = timeout(FAREWELL, say_goodbye(sink, source, frame)).await;
    port.send(Happening::LinkDown { link, reason: DownReason::Closed }).await;
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    source: &mut SplitStream<WebSocketStream<S>>,
    incoming: &mut Incoming,
) -> Result<Infallible, Over> {
    loop {
        let message = match timeout(DEAD_AFTER, source.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(Error::Capacity(_)))) => return Err(Over::TooLarge),
            Ok(Some(Err(Error::Utf8(_)))) => return Err(Over::NotText),
            Ok(Some(Err(error))) => return Err(Over::Failed(error)),
            Ok(None) => return Err(Over::ClosedByPeer(None)),
            Err(_) => return Err(Over::Silent),
        };
        match message {
            Message::Text(text) => {
                if incoming.deliver(Bytes::from(text)).await.is_err() {
                    // It was reset, or finished and then reset: either is told by another branch.
                    return std::future::pending().await;
                }
            }
            Message::Close(frame) => return Err(Over::ClosedByPeer(frame)),
            Message::Binary(_) => return Err(Over::NotText),
            // Answered by the library; and any of them shows that the peer lives.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    outgoing: &mut Outgoing,
) -> Result<Infallible, Over> {
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ahead = None;
    loop {
        let out = match ahead.take() {
            Some(out) => Some(out),
            None => tokio::select! {
                out = outgoing.next() => out,
                _ = pings.tick() => {
                    sink.send(Message::Ping(Bytes::new())).await.map_err(Over::Failed)?;
                    continue;
                }
            },
        };
        match out {
            Some(Out::Send(bytes)) => {
                let (mut rest, after) = gather(bytes, outgoing);
                let len = rest.len();
                while !rest.is_empty() {
                    let Some(piece) = split_piece(&mut rest) else {
                        tracing::error!("the machine sent a Portman message that is not UTF-8");
                        return Err(Over::Reset(ResetCode::Internal));
                    };
                    sink.send(Message::Text(piece)).await.map_err(Over::Failed)?;
                }
                outgoing.took(len);
                ahead = after;
            }
            Some(Out::Finish) => return Err(Over::Finished),
            Some(Out::Response(_)) => return Err(Over::Reset(ResetCode::Internal)),
            // Reset, and then `aborted` tells; or the link has been forgotten.
            None => return std::future::pending().await,
        }
    }
}

/// What waits to be sent goes with it: of many jobs that run at once, one message tells what came at once. What waits and can't be
/// sent like this is given back.
fn gather(first: Bytes, outgoing: &mut Outgoing) -> (Bytes, Option<Out>) {
    let Some(mut next) = outgoing.try_next() else { return (first, None) };
    let mut all = Vec::from(first);
    loop {
        match next {
            Out::Send(bytes) => all.extend_from_slice(&bytes),
            other => return (all.into(), Some(other)),
        }
        match if all.len() < PIECE { outgoing.try_next() } else { None } {
            Some(more) => next = more,
            None => return (all.into(), None),
        }
    }
}

/// The first [`PIECE`] or less of it, cut between two characters. `None`: it is no text.
fn split_piece(rest: &mut Bytes) -> Option<Utf8Bytes> {
    let is_inside_a_character = |at: usize| rest.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let cut = (0..=rest.len().min(PIECE)).rev().find(|at| !is_inside_a_character(*at))?;
    Utf8Bytes::try_from(rest.split_to(cut)).ok().filter(|piece| !piece.is_empty())
}

async fn obey(orders: &mut mpsc::UnboundedReceiver<LinkCommand>, port: &Port) -> Result<Infallible, Over> {
    loop {
        match orders.recv().await {
            // There is only the one stream.
            Some(LinkCommand::Open(refused, _)) => {
                port.send(Happening::Reset { stream: refused.id(), code: ResetCode::Refused }).await;
            }
            Some(LinkCommand::Close(reason)) => return Err(Over::ClosedByUs(reason)),
            None => return Err(Over::Abandoned),
        }
    }
}

/// Sends a close frame and hears the peer out, so that the frame is not lost to a reset of the connection.
async fn say_goodbye<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut source: SplitStream<WebSocketStream<S>>,
    frame: CloseFrame,
) {
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = source.next().await {}
    }
}

impl Over {
    /// What the peer is told, where there is still somebody to tell.
    fn farewell(&self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Finished => (CloseCode::Normal, ""),
            Self::ClosedByUs(reason) => (CloseCode::Policy, *reason),
            Self::Reset(code) => (CloseCode::from(RESET_BASE + close_offset(*code)), ""),
            Self::TooLarge => (CloseCode::Size, "a message may have 1 MiB"),
            Self::NotText => (CloseCode::Unsupported, "messages are text"),
            Self::Silent => (CloseCode::Away, "nothing was heard"),
            Self::Abandoned => (CloseCode::Restart, ""),
            Self::ClosedByPeer(_) | Self::Failed(_) => return None,
        };
        Some(CloseFrame { code, reason: reason.into() })
    }

    /// What the machine is told. Whatever is still open on the link is reset by its end.
    async fn tell(self, incoming: &Incoming, link: LinkId, port: &Port) {
        let reason = match self {
            Self::ClosedByPeer(Some(frame)) => {
                let code = u16::from(frame.code);
                if code == u16::from(CloseCode::Normal) {
                    incoming.finished().await;
                } else if code == u16::from(CloseCode::Restart) {
                    tracing::debug!(link = link.0, "the other end of a Portman socket stops or restarts");
                } else if let Some(code) = code.checked_sub(RESET_BASE) {
                    incoming.reset(ResetCode::from_u32(code.into())).await;
                } else {
                    tracing::warn!(link = link.0, "the other end of a Portman socket closed it: {frame}");
                }
                DownReason::Closed
            }
            Self::ClosedByPeer(None)
            | Self::Finished
            | Self::Reset(_)
            | Self::ClosedByUs(_)
            | Self::Abandoned => DownReason::Closed,
            Self::TooLarge | Self::NotText => {
                incoming.reset(ResetCode::Protocol).await;
                DownReason::Failed
            }
            Self::Silent => DownReason::TimedOut,
            Self::Failed(error) => {
                tracing::debug!(link = link.0, "a Portman socket failed: {error}");
                DownReason::Failed
            }
        };
        port.send(Happening::LinkDown { link, reason }).await;
    }
}

fn close_offset(code: ResetCode) -> u16 {
    u16::try_from(code.to_u32()).unwrap_or_default()
}
