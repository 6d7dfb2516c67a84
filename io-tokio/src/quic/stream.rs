//! Carries one stream's bytes over QUIC, both ways at once, until both ways have ended.

use labman_proto_core::machine::ResetCode;
use quinn::{Connection, ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};

use crate::stream::{Incoming, Out, Outgoing};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// How a stream ends before its time.
enum Early {
    /// The peer reset it, or wants no more.
    ByPeer(ResetCode),
    ByMachine(ResetCode),
    /// The link's own task tells.
    LinkLost,
}

/// A stream that the machine opens. Waits while the peer allows no further one.
pub(super) async fn open(connection: Connection, outgoing: Outgoing, incoming: Incoming) {
    let mut watch = incoming.watch();
    let opened = tokio::select! {
        opened = connection.open_bi() => opened,
        // It never was; nobody else need hear of it.
        _ = watch.aborted() => return,
    };
    if let Ok((send, recv)) = opened {
        carry(send, recv, outgoing, incoming).await;
    }
}

pub(super) async fn carry(
    mut send: SendStream,
    mut recv: RecvStream,
    mut outgoing: Outgoing,
    mut incoming: Incoming,
) {
    let mut watch = incoming.watch();
    let ended = {
        let both = async { tokio::try_join!(read(&mut recv, &mut incoming), write(&mut send, &mut outgoing)) };
        tokio::select! {
            ended = both => ended.map(|_| ()),
            code = watch.aborted() => Err(Early::ByMachine(code)),
        }
    };
    match ended {
        Ok(()) | Err(Early::LinkLost) => {}
        Err(Early::ByMachine(code)) => give_up(&mut send, &mut recv, code),
        Err(Early::ByPeer(code)) => {
            give_up(&mut send, &mut recv, code);
            incoming.reset(code).await;
        }
    }
}

async fn read(recv: &mut RecvStream, incoming: &mut Incoming) -> Result<(), Early> {
    let mut watch = incoming.watch();
    loop {
        let Ok(room) = incoming.room().await else { break };
        let chunk = tokio::select! {
            chunk = recv.read_chunk(room.min(CHUNK), true) => chunk,
            _ = watch.unwanted() => break,
        };
        match chunk {
            Ok(Some(chunk)) => {
                if incoming.deliver(chunk.bytes).await.is_err() {
                    break;
                }
            }
            Ok(None) => {
                incoming.finished().await;
                return Ok(());
            }
            Err(ReadError::Reset(code)) => return Err(Early::ByPeer(reset_code(code))),
            Err(
                ReadError::ConnectionLost(_)
                | ReadError::ClosedStream
                | ReadError::IllegalOrderedRead
                | ReadError::ZeroRttRejected,
            ) => return Err(Early::LinkLost),
        }
    }
    // Already ended otherwise: then there is nothing to stop.
    let _ = recv.stop(number(watch.unwanted().await));
    Ok(())
}

async fn write(send: &mut SendStream, outgoing: &mut Outgoing) -> Result<(), Early> {
    let stopped = send.stopped();
    tokio::pin!(stopped);
    loop {
        let out = tokio::select! {
            out = outgoing.next() => out,
            stopped = &mut stopped => return Err(match stopped {
                Ok(Some(code)) => Early::ByPeer(reset_code(code)),
                // Not before we finish, by its contract; and lost links are told by their own task.
                Ok(None) | Err(StoppedError::ConnectionLost(_) | StoppedError::ZeroRttRejected) => Early::LinkLost,
            }),
        };
        match out {
            Some(Out::Send(bytes)) => {
                let len = bytes.len();
                match send.write_chunk(bytes).await {
                    Ok(()) => outgoing.took(len),
                    Err(WriteError::Stopped(code)) => return Err(Early::ByPeer(reset_code(code))),
                    Err(
                        WriteError::ConnectionLost(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected,
                    ) => return Err(Early::LinkLost),
                }
            }
            Some(Out::Finish) => {
                // Fails only where the peer has stopped it, and then it has ended as well.
                let _ = send.finish();
                return Ok(());
            }
            // Heads belong to HTTP: a machine that sends one here is wrong, and its stream can't be understood.
            Some(Out::Response(_)) => return Err(Early::ByPeer(ResetCode::Protocol)),
            None => return Ok(()),
        }
    }
}

fn give_up(send: &mut SendStream, recv: &mut RecvStream, code: ResetCode) {
    // Either fails only where that direction has ended already.
    let _ = send.reset(number(code));
    let _ = recv.stop(number(code));
}

fn number(code: ResetCode) -> VarInt {
    VarInt::from_u32(code.to_u32())
}

fn reset_code(number: VarInt) -> ResetCode {
    ResetCode::from_u32(u32::try_from(number.into_inner()).unwrap_or(u32::MAX))
}
