//! Two machines over real QUIC on loopback.

mod support;

use std::net::UdpSocket;

use labman_io_tokio::{IoConfig, MeshConfig, Running, Zeroizing};
use labman_proto_core::identity::{Identity, NodeId};
use labman_proto_core::limits::STREAM_WINDOW;
use labman_proto_core::machine::{Completion, DownReason, Input, Outbox, Peer, ResetCode, StreamId, Target};
use support::{Notes, Script, Seen, Witness, run, within, witness};

const ALICE: [u8; 32] = [1; 32];
const BOB: [u8; 32] = [2; 32];

fn id(secret: [u8; 32]) -> NodeId {
    Identity::from_secret(&secret).node_id()
}

fn dialler() -> IoConfig {
    IoConfig {
        name: "alice".into(),
        mesh: Some(MeshConfig::new(Zeroizing::new(ALICE), None)),
        ..IoConfig::default()
    }
}

fn listener() -> (IoConfig, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    let mesh = Some(MeshConfig::new(Zeroizing::new(BOB), Some(socket)));
    (IoConfig { name: "bob".into(), mesh, ..IoConfig::default() }, addr)
}

fn dial_bob(addr: &str) -> impl FnOnce(&mut Outbox) + use<> {
    let target = Target::Mesh { addr: addr.into(), node_id: id(BOB) };
    move |out| {
        out.dial(target);
    }
}

/// Sends back what comes in, and grants as it goes.
fn echo(input: &Input<'_>, out: &mut Outbox) {
    match input {
        Input::Bytes { stream, bytes } => {
            out.send(*stream, bytes.to_vec());
            out.grant(*stream, bytes.len());
        }
        Input::Finished { stream } => out.finish(*stream),
        _ => {}
    }
}

fn echoing(notes: Notes) -> Script {
    Script::new(move |input, out| {
        notes.note(&input);
        echo(&input, out);
    })
}

/// Opens a stream on every new link, says hello and finishes.
fn greeting(notes: Notes) -> Script {
    Script::new(move |input, out| {
        notes.note(&input);
        if let Input::LinkUp { link, .. } = input {
            let stream = out.open(link);
            out.send(stream, b"hello".to_vec());
            out.finish(stream);
        }
    })
}

async fn dialled(witness: &mut Witness) -> Result<(), String> {
    witness
        .until(|seen| match seen {
            Seen::Done(Completion::Dialled(result)) => Some(result.map(|_| ())),
            _ => None,
        })
        .await
}

async fn stop(running: [Running; 2]) {
    for machine in running {
        within(machine.stop()).await;
    }
}

#[tokio::test]
async fn each_end_learns_who_the_other_is_and_an_opened_stream_is_echoed() {
    let (bob_notes, mut bob) = witness();
    let (alice_notes, mut alice) = witness();
    let (io, addr) = listener();
    let bob_runs = run(io, echoing(bob_notes)).await;
    let alice_runs = run(dialler(), greeting(alice_notes).saying(dial_bob(&addr))).await;

    let Seen::LinkUp(_, peer) = alice.next().await else { panic!("the link comes first") };
    let Peer::Mesh { node_id, dialled: true, binding, addr: there } = peer else { panic!("{peer:?}") };
    assert_eq!(node_id, id(BOB));
    assert_eq!(there.map(|there| there.to_string()), Some(addr), "it knows where the other is");
    assert!(matches!(alice.next().await, Seen::Done(Completion::Dialled(Ok(_)))), "right after its link");
    assert_eq!(alice.body(StreamId(2)).await, b"hello");

    let Seen::LinkUp(_, peer) = bob.next().await else { panic!("the link comes first") };
    let Peer::Mesh { node_id, dialled: false, binding: same, addr: Some(here) } = peer else {
        panic!("{peer:?}")
    };
    assert_eq!((node_id, same), (id(ALICE), binding), "and both know the connection");
    assert!(here.ip().is_loopback());
    stop([alice_runs, bob_runs]).await;
}

#[tokio::test]
async fn two_connections_between_the_same_nodes_are_bound_to_different_secrets() {
    let (bob_notes, mut bob) = witness();
    let (io, addr) = listener();
    let bob_runs = run(io, echoing(bob_notes)).await;
    let target = Target::Mesh { addr, node_id: id(BOB) };
    let twice = move |out: &mut Outbox| {
        out.dial(target.clone());
        out.dial(target);
    };
    let alice_runs = run(dialler(), Script::new(|_, _| {}).saying(twice)).await;

    let mut next = async || match bob.next().await {
        Seen::LinkUp(_, Peer::Mesh { binding, .. }) => binding,
        other => panic!("{other:?}"),
    };
    assert_ne!(next().await, next().await);
    stop([alice_runs, bob_runs]).await;
}

#[tokio::test]
async fn the_listening_end_opens_streams_inward() {
    let (bob_notes, mut bob) = witness();
    let (alice_notes, _alice) = witness();
    let (io, addr) = listener();
    let bob_runs = run(io, greeting(bob_notes)).await;
    let alice_runs = run(dialler(), echoing(alice_notes).saying(dial_bob(&addr))).await;
    assert_eq!(bob.body(StreamId(2)).await, b"hello");
    stop([alice_runs, bob_runs]).await;
}

#[tokio::test]
async fn a_dialler_refuses_a_node_that_is_not_the_one_it_wants() {
    let (bob_notes, mut bob) = witness();
    let (alice_notes, mut alice) = witness();
    let (io, addr) = listener();
    let bob_runs = run(io, echoing(bob_notes)).await;
    let wanted = id([3; 32]);
    let dial = |out: &mut Outbox| {
        out.dial(Target::Mesh { addr, node_id: wanted });
    };
    let alice_runs = run(dialler(), echoing(alice_notes).saying(dial)).await;

    let refused = dialled(&mut alice).await.unwrap_err();
    assert!(refused.contains(&id(BOB).to_string()), "names who is there: {refused}");
    assert!(refused.contains(&wanted.to_string()), "names who was wanted: {refused}");
    stop([alice_runs, bob_runs]).await;
    assert_eq!(bob.has_seen(), [Seen::Leave], "a link that never was");
}

#[tokio::test]
async fn a_reset_reaches_the_other_end_with_its_code() {
    let (bob_notes, _bob) = witness();
    let (alice_notes, mut alice) = witness();
    let (io, addr) = listener();
    let refusing = Script::new(move |input, out| {
        bob_notes.note(&input);
        if let Input::Opened { stream, .. } = input {
            out.reset(stream, ResetCode::Refused);
        }
    });
    let bob_runs = run(io, refusing).await;
    let alice_runs = run(dialler(), greeting(alice_notes).saying(dial_bob(&addr))).await;
    assert_eq!(alice.reset().await, ResetCode::Refused);
    stop([alice_runs, bob_runs]).await;
}

#[tokio::test]
async fn a_link_that_goes_down_resets_its_streams_first() {
    let (bob_notes, mut bob) = witness();
    let (alice_notes, mut alice) = witness();
    let (io, addr) = listener();
    // Bob hears the greeting and says nothing, so Alice's stream stays open.
    let bob_runs = run(io, Script::new(move |input, _| bob_notes.note(&input))).await;
    let alice_runs = run(dialler(), greeting(alice_notes).saying(dial_bob(&addr))).await;
    bob.until(|seen| matches!(seen, Seen::Finished(_)).then_some(())).await;
    within(bob_runs.stop()).await;

    let mut ends = Vec::new();
    alice
        .until(|seen| match seen {
            Seen::Reset(stream, code) => {
                ends.push((stream, code));
                None
            }
            Seen::LinkDown(_, reason) => {
                assert_eq!(reason, DownReason::Closed);
                Some(())
            }
            _ => None,
        })
        .await;
    assert_eq!(ends, [(StreamId(2), ResetCode::Unreachable)]);
    within(alice_runs.stop()).await;
}

/// Sends `total` bytes, never more than a window ahead of the credit.
struct Sender {
    total: usize,
    sent: usize,
    credited: usize,
}

impl Sender {
    fn go_on(&mut self, stream: StreamId, out: &mut Outbox) {
        const PIECE: usize = 16 * 1024;
        while self.sent < self.total && self.sent + PIECE <= self.credited + STREAM_WINDOW as usize {
            out.send(stream, vec![7; PIECE]);
            self.sent += PIECE;
        }
        if self.sent == self.total {
            out.finish(stream);
        }
    }
}

#[tokio::test]
async fn who_is_asked_to_leave_says_its_last_word_and_is_heard() {
    let (bob_notes, mut bob) = witness();
    let (alice_notes, mut alice) = witness();
    let (io, addr) = listener();
    // Bob closes when he has read all that Alice has to say.
    let mut from = None;
    let bob_runs = run(
        io,
        Script::new(move |input, out| {
            bob_notes.note(&input);
            match input {
                Input::LinkUp { link, .. } => from = Some(link),
                Input::Finished { .. } => out.close(from.expect("a link"), "heard"),
                _ => {}
            }
        }),
    )
    .await;
    let mut control = None;
    let farewell = vec![7; 10_000];
    let last = farewell.clone();
    let script = Script::new(move |input, out| {
        alice_notes.note(&input);
        match input {
            Input::LinkUp { link, .. } => control = Some(out.open(link)),
            Input::Leave => {
                let control = control.expect("a stream");
                out.send(control, last.clone());
                out.finish(control);
            }
            _ => {}
        }
    });
    let alice_runs = run(dialler(), script.staying_for(1).saying(dial_bob(&addr))).await;
    dialled(&mut alice).await.unwrap();
    within(alice_runs.stop()).await;
    let stream = bob
        .until(|seen| match seen {
            Seen::Opened(stream) => Some(stream),
            _ => None,
        })
        .await;
    assert_eq!(bob.body(stream).await, farewell);
    let seen = alice.has_seen();
    assert!(matches!(seen[..], [Seen::Leave, .., Seen::LinkDown(_, DownReason::Closed)]), "{seen:?}");
    within(bob_runs.stop()).await;
}

#[tokio::test]
async fn a_machine_that_grants_nothing_gets_one_window_and_stops_the_sender() {
    const TOTAL: usize = 4 * 1024 * 1024;
    const QUIC_WINDOW: usize = 256 * 1024;
    const BULK: StreamId = StreamId(2);
    const CHAT: StreamId = StreamId(4);

    let (bob_notes, mut bob) = witness();
    let (alice_notes, mut alice) = witness();
    let (io, addr) = listener();

    // The first stream is the bulk: Bob takes none of it until told to over the second.
    let mut bulk = None;
    let mut held = 0;
    let mut granting = false;
    let bob_script = Script::new(move |input, out| {
        bob_notes.note(&input);
        match input {
            Input::Bytes { stream, bytes } if *bulk.get_or_insert(stream) == stream => {
                held += bytes.len();
                if granting {
                    out.grant(stream, std::mem::take(&mut held));
                }
            }
            Input::Bytes { stream, bytes } => {
                granting |= bytes.contains(&b'g');
                if let (true, Some(bulk)) = (granting, bulk) {
                    out.grant(bulk, std::mem::take(&mut held));
                }
                echo(&Input::Bytes { stream, bytes }, out);
            }
            _ => {}
        }
    });
    let bob_runs = run(io, bob_script).await;

    let mut bulk = Sender { total: TOTAL, sent: 0, credited: 0 };
    let mut rounds = 0;
    let alice_script = Script::new(move |input, out| {
        alice_notes.note(&input);
        match input {
            Input::LinkUp { link, .. } => {
                let stream = out.open(link);
                bulk.go_on(stream, out);
                out.open(link);
            }
            Input::Credit { stream: BULK, bytes } => {
                let first = bulk.credited == 0;
                bulk.credited += bytes as usize;
                bulk.go_on(BULK, out);
                if first {
                    out.send(CHAT, b".".to_vec());
                }
            }
            // Many round trips beside the bulk: it has all the time it needs to overrun its window.
            Input::Bytes { stream: CHAT, bytes } => {
                out.grant(CHAT, bytes.len());
                rounds += 1;
                out.send(CHAT, if rounds < 300 { b".".to_vec() } else { b"g".to_vec() });
            }
            _ => {}
        }
    });
    let alice_runs = run(dialler(), alice_script.saying(dial_bob(&addr))).await;

    let (mut before, mut after, mut asked) = (0, 0, false);
    bob.until(|seen| match seen {
        Seen::Bytes(_, bytes) if bytes == b"g" => {
            asked = true;
            None
        }
        Seen::Bytes(_, bytes) if bytes == b"." => None,
        Seen::Bytes(_, bytes) => {
            *(if asked { &mut after } else { &mut before }) += bytes.len();
            None
        }
        Seen::Finished(_) => Some(()),
        _ => None,
    })
    .await;
    assert_eq!(before, STREAM_WINDOW as usize, "one window, and not a byte more");
    assert_eq!(before + after, TOTAL, "and everything once it is granted");

    let (mut taken, mut rounds) = (0, 0);
    alice
        .until(|seen| match seen {
            Seen::Credit(BULK, bytes) => {
                taken += bytes as usize;
                None
            }
            Seen::Bytes(CHAT, _) => {
                rounds += 1;
                (rounds == 300).then_some(())
            }
            _ => None,
        })
        .await;
    assert!(taken <= STREAM_WINDOW as usize + QUIC_WINDOW, "the sender was stopped after {taken} bytes");
    stop([alice_runs, bob_runs]).await;
}
