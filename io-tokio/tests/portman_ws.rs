//! The Portman socket, both ends real.

mod support;

use futures_util::{SinkExt, StreamExt};
use labman_io_tokio::IoConfig;
use labman_proto_core::machine::{Completion, DownReason, Input, Outbox, Peer, ResetCode, StreamId, Target};
use support::{Notes, Script, Seen, run, tcp, within, witness};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const STREAM: StreamId = StreamId(2);

fn labman() -> (IoConfig, String) {
    let (listener, address) = tcp();
    (IoConfig { name: "labman".into(), portman_socket: Some(listener), ..IoConfig::default() }, address)
}

fn portman() -> IoConfig {
    IoConfig { name: "portman".into(), ..IoConfig::default() }
}

fn dial(address: &str) -> impl FnOnce(&mut Outbox) + use<> {
    let target = Target::Labman { url: format!("ws://{address}/"), token: "t0ken".into() };
    move |out| {
        out.dial(target);
    }
}

/// Opens the stream on its link and sends a line on it.
fn introducing(notes: Notes, line: Vec<u8>) -> Script {
    Script::new(move |input, out| {
        notes.note(&input);
        if let Input::LinkUp { link, .. } = input {
            let stream = out.open(link);
            out.send(stream, line.clone());
        }
    })
}

async fn down(witness: &mut support::Witness) -> DownReason {
    witness
        .until(|seen| match seen {
            Seen::LinkDown(_, reason) => Some(reason),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn lines_cross_both_ways_on_the_one_stream() {
    let (labman_notes, mut labman_saw) = witness();
    let (portman_notes, mut portman_saw) = witness();
    let (io, address) = labman();
    let answering = Script::new(move |input, out| {
        labman_notes.note(&input);
        if let Input::Bytes { stream, .. } = input {
            out.send(stream, b"{\"type\":\"start\"}\n".to_vec());
            out.finish(stream);
        }
    });
    let labman_runs = run(io, answering).await;
    let portman_runs =
        run(portman(), introducing(portman_notes, b"{\"type\":\"hello\"}\n".to_vec()).saying(dial(&address)))
            .await;

    let Seen::LinkUp(_, peer) = labman_saw.next().await else { panic!("the link comes first") };
    assert_eq!(peer, Peer::Portman { token: "t0ken".into(), origin: None });
    let Seen::Opened(opened) = labman_saw.next().await else { panic!("then its stream") };
    assert_eq!(labman_saw.next().await, Seen::Bytes(opened, b"{\"type\":\"hello\"}\n".to_vec()));

    let Seen::LinkUp(_, peer) = portman_saw.next().await else { panic!("the link comes first") };
    assert_eq!(peer, Peer::Labman);
    assert!(matches!(portman_saw.next().await, Seen::Done(Completion::Dialled(Ok(_)))));
    assert_eq!(portman_saw.next().await, Seen::Credit(STREAM, 17));
    assert_eq!(portman_saw.next().await, Seen::Bytes(STREAM, b"{\"type\":\"start\"}\n".to_vec()));
    assert_eq!(portman_saw.next().await, Seen::Finished(STREAM));
    assert_eq!(down(&mut portman_saw).await, DownReason::Closed);
    within(portman_runs.stop()).await;
    within(labman_runs.stop()).await;
}

#[tokio::test]
async fn a_reset_crosses_with_its_code_and_takes_the_socket_along() {
    let (labman_notes, mut labman_saw) = witness();
    let (portman_notes, mut portman_saw) = witness();
    let (io, address) = labman();
    let refusing = Script::new(move |input, out| {
        labman_notes.note(&input);
        if let Input::Bytes { stream, .. } = input {
            out.reset(stream, ResetCode::Refused);
        }
    });
    let labman_runs = run(io, refusing).await;
    let portman_runs =
        run(portman(), introducing(portman_notes, b"{}\n".to_vec()).saying(dial(&address))).await;
    assert_eq!(portman_saw.reset().await, ResetCode::Refused);
    assert_eq!(down(&mut portman_saw).await, DownReason::Closed);
    assert_eq!(down(&mut labman_saw).await, DownReason::Closed);
    within(portman_runs.stop()).await;
    within(labman_runs.stop()).await;
}

#[tokio::test]
async fn a_portman_of_the_same_process_hears_that_its_labman_goes_however_late_it_came() {
    for _ in 0..20 {
        let (portman_notes, mut portman_saw) = witness();
        let (door, way_in) = labman_io_tokio::door();
        // It leaves when it is asked to, and closes no link.
        let io = IoConfig { name: "labman".into(), portman_door: Some(door), ..IoConfig::default() };
        let labman_runs = run(io, Script::new(|_, _| {})).await;
        let io = IoConfig { labman_inside: Some(way_in), ..portman() };
        let script = introducing(portman_notes, b"{}\n".to_vec()).saying(dial("127.0.0.1:9"));
        let portman_runs = run(io, script).await;
        portman_saw.until(|seen| matches!(seen, Seen::LinkUp(..)).then_some(())).await;
        within(labman_runs.stop()).await;
        assert_eq!(down(&mut portman_saw).await, DownReason::Closed);
        within(portman_runs.stop()).await;
    }
}

#[tokio::test]
async fn a_labman_that_closes_the_link_is_heard_at_once() {
    let (portman_notes, mut portman_saw) = witness();
    let (io, address) = labman();
    let closing = Script::new(move |input, out| {
        if let Input::LinkUp { link, .. } = input {
            out.close(link, "this token is not known here");
        }
    });
    let labman_runs = run(io, closing).await;
    let portman_runs =
        run(portman(), introducing(portman_notes, b"{}\n".to_vec()).saying(dial(&address))).await;
    assert_eq!(portman_saw.reset().await, ResetCode::Unreachable, "its stream, before the link");
    assert_eq!(down(&mut portman_saw).await, DownReason::Closed);
    within(portman_runs.stop()).await;
    within(labman_runs.stop()).await;
}

#[tokio::test]
async fn the_reason_of_a_close_reaches_the_portman_though_its_stream_is_reset_too() {
    let (notes, mut labman_saw) = witness();
    let (io, address) = labman();
    let refusing = Script::new(move |input, out| {
        notes.note(&input);
        match input {
            Input::LinkUp { link, .. } => out.close(link, "wrong token"),
            Input::Opened { stream, .. } => out.reset(stream, ResetCode::Refused),
            _ => {}
        }
    });
    let labman_runs = run(io, refusing).await;
    // Which of the two comes first is chance: many tries.
    for _ in 0..20 {
        let mut portman = foreign_portman(&address).await;
        let end = within(portman.next()).await.unwrap().unwrap();
        let Message::Close(Some(frame)) = end else { panic!("not a close: {end:?}") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1008, "wrong token"));
        drop(portman);
        down(&mut labman_saw).await;
    }
    within(labman_runs.stop()).await;
}

#[tokio::test]
async fn a_second_stream_is_refused() {
    let (notes, mut portman_saw) = witness();
    let (io, address) = labman();
    let labman_runs = run(io, Script::new(|_, _| {})).await;
    let greedy = Script::new(move |input, out| {
        notes.note(&input);
        if let Input::LinkUp { link, .. } = input {
            out.open(link);
            out.open(link);
        }
    });
    let portman_runs = run(portman(), greedy.saying(dial(&address))).await;
    let refused = portman_saw.until(|seen| match seen {
        Seen::Reset(stream, code) => Some((stream, code)),
        _ => None,
    });
    assert_eq!(refused.await, (StreamId(4), ResetCode::Refused));
    within(portman_runs.stop()).await;
    within(labman_runs.stop()).await;
}

#[tokio::test]
async fn a_line_longer_than_a_message_may_be_crosses_whole() {
    let (labman_notes, mut labman_saw) = witness();
    let (io, address) = labman();
    let granting = Script::new(move |input, out| {
        labman_notes.note(&input);
        if let Input::Bytes { stream, bytes } = input {
            out.grant(stream, bytes.len());
        }
    });
    let labman_runs = run(io, granting).await;
    // Characters of two bytes after one of one byte: no even cut falls between two of them.
    let line = format!("x{}\n", "\u{e9}".repeat(1024 * 1024)).into_bytes();
    let (portman_notes, mut portman_saw) = witness();
    let mut left = line.len();
    let sent = line.clone();
    let finishing = Script::new(move |input, out| {
        portman_notes.note(&input);
        match input {
            Input::LinkUp { link, .. } => {
                let stream = out.open(link);
                out.send(stream, sent.clone());
            }
            Input::Credit { stream, bytes } => {
                left -= bytes as usize;
                if left == 0 {
                    out.finish(stream);
                }
            }
            _ => {}
        }
    });
    let portman_runs = run(portman(), finishing.saying(dial(&address))).await;
    let opened = labman_saw
        .until(|seen| match seen {
            Seen::Opened(stream) => Some(stream),
            _ => None,
        })
        .await;
    assert!(labman_saw.body(opened).await == line, "the line arrives as it was sent");
    assert_eq!(down(&mut portman_saw).await, DownReason::Closed);
    within(portman_runs.stop()).await;
    within(labman_runs.stop()).await;
}

#[tokio::test]
async fn a_message_of_more_than_a_mebibyte_ends_the_socket_as_a_protocol_error() {
    let (labman_notes, mut labman_saw) = witness();
    let (io, address) = labman();
    let labman_runs = run(io, Script::new(move |input, _| labman_notes.note(&input))).await;
    let mut foreign = foreign_portman(&address).await;
    let long = Message::text("x".repeat(1024 * 1024 + 1));
    // The labman may hang up before it is through.
    let _ = within(foreign.send(long)).await;
    assert_eq!(labman_saw.reset().await, ResetCode::Protocol);
    assert_eq!(down(&mut labman_saw).await, DownReason::Failed);
    within(labman_runs.stop()).await;
}

/// One that is not ours, and keeps none of our rules.
async fn foreign_portman(address: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let mut request = format!("ws://{address}/").into_client_request().unwrap();
    request.headers_mut().insert("authorization", "Bearer t0ken".parse().unwrap());
    within(connect_async(request)).await.unwrap().0
}

async fn handshake(address: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    within(socket.read_exact(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_socket_without_a_token_is_refused_and_a_browsers_origin_is_passed_on() {
    let (notes, mut labman_saw) = witness();
    let (io, address) = labman();
    let labman_runs = run(io, Script::new(move |input, _| notes.note(&input))).await;
    assert_eq!(handshake(&address, "").await, "HTTP/1.1 401");
    assert_eq!(handshake(&address, "authorization: Basic eDp5\r\n").await, "HTTP/1.1 401");
    let browser = "authorization: Bearer t\r\norigin: https://evil.example\r\n";
    assert_eq!(handshake(&address, browser).await, "HTTP/1.1 101");
    let Seen::LinkUp(_, peer) = labman_saw.next().await else { panic!("only the last is a link") };
    assert_eq!(peer, Peer::Portman { token: "t".into(), origin: Some("https://evil.example".into()) });
    within(labman_runs.stop()).await;
}

#[tokio::test]
async fn a_labman_that_is_not_there_is_a_failed_dial_that_names_it() {
    let (gone, address) = tcp();
    drop(gone);
    let (notes, mut portman_saw) = witness();
    let runs = run(portman(), Script::new(move |input, _| notes.note(&input)).saying(dial(&address))).await;
    let Seen::Done(Completion::Dialled(Err(what))) = portman_saw.next().await else {
        panic!("the dial fails")
    };
    assert!(what.contains(&address), "{what}");
    within(runs.stop()).await;
}
