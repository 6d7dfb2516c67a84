//! The contract, kept towards small machines that look only at what they are handed.

use std::collections::VecDeque;

use labman_proto_core::http::{RequestHead, ResponseHead};
use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::STREAM_WINDOW;
use labman_proto_core::machine::{Completion, Outbox, ResetCode, Target};
use labman_proto_core::rng::Seed;
use labman_proto_core::store::{Row, Table, Write};
use labman_proto_core::time::{Now, Wake};

use super::*;
use crate::net::latency::Latency;

const TABLE: Table = Table::live("rows");

/// Does what it is told, keeps what it hears.
#[derive(Default)]
struct Probe {
    out: Outbox,
    heard: VecDeque<Heard>,
    wake: Option<Wake>,
    rows: usize,
    /// Whether it grants what it was given.
    reads: bool,
    streams: Vec<StreamId>,
    links: Vec<LinkId>,
    /// Never moves its deadline.
    stuck: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Heard {
    Up(Option<bool>),
    Down(DownReason),
    Opened,
    Request(String),
    Status(u16),
    Bytes(usize),
    Finished,
    Reset(ResetCode),
    Credit(u32),
    Done(Completion),
    Woken(Time),
}

impl Machine for Probe {
    fn handle(&mut self, _: Now, input: Input<'_>) {
        let heard = match input {
            Input::LinkUp { link, peer } => {
                self.links.push(link);
                match peer {
                    labman_proto_core::machine::Peer::Mesh { dialled, .. } => Heard::Up(Some(dialled)),
                    _ => Heard::Up(None),
                }
            }
            Input::LinkDown { reason, .. } => Heard::Down(reason),
            Input::Opened { stream, .. } => {
                self.streams.push(stream);
                Heard::Opened
            }
            Input::Request { stream, head, .. } => {
                self.streams.push(stream);
                Heard::Request(head.path)
            }
            Input::Response { head, .. } => Heard::Status(head.status),
            Input::Bytes { stream, bytes } => {
                if self.reads {
                    self.out.grant(stream, bytes.len());
                }
                Heard::Bytes(bytes.len())
            }
            Input::Finished { .. } => Heard::Finished,
            Input::Reset { code, .. } => Heard::Reset(code),
            Input::Credit { bytes, .. } => Heard::Credit(bytes),
            Input::Done(_, completion) => Heard::Done(completion),
            Input::Leave => return,
        };
        self.heard.push_back(heard);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.heard.push_back(Heard::Woken(now.mono));
        if !self.stuck {
            self.wake = None;
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        self.wake
    }

    fn stopped(&self) -> Option<&str> {
        None
    }
}

const LATENCY: Latency = Latency::Uniform(Span::from_millis(5), Span::from_millis(40));

fn world(seed: u64) -> World<Probe> {
    World::new(Seed::from_u64(seed), Latencies { mesh: LATENCY, http: LATENCY, local: LATENCY })
}

fn probe(world: &mut World<Probe>, name: &str) -> HostId {
    world.add(Spec {
        name: name.into(),
        addresses: vec![
            Address::Mesh(format!("{name}:1")),
            Address::Http(name.into()),
            Address::Labman(name.into()),
        ],
        node_id: Some(node_id(name)),
        from: None,
        local: false,
        reachable: true,
        place: None,
        wall_offset_ms: 0,
        lawless: false,
        disk: Latency::Constant(Span::from_millis(1)),
        build: Box::new(|_, snapshot, _| {
            Ok(Probe { reads: true, rows: snapshot.rows.len(), ..Probe::default() })
        }),
    })
}

fn node_id(name: &str) -> NodeId {
    NodeId(*blake3::hash(name.as_bytes()).as_bytes())
}

fn run(world: &mut World<Probe>) {
    while world.step().is_some() {}
}

fn heard(world: &mut World<Probe>, host: HostId) -> Vec<Heard> {
    world.command(host, |probe| probe.heard.drain(..).collect()).expect("the host is up")
}

fn bytes(heard: &[Heard]) -> usize {
    heard.iter().map(|heard| if let Heard::Bytes(count) = heard { *count } else { 0 }).sum()
}

fn ask(world: &mut World<Probe>, host: HostId, url: &str, body: usize) -> StreamId {
    world.command(host, |p| p.out.request(url, RequestHead::new("POST", "/x"), vec![7; body])).unwrap()
}

fn dial(world: &mut World<Probe>, from: HostId, to: &str, expected: &str) {
    let target = Target::Mesh { addr: format!("{to}:1"), node_id: node_id(expected) };
    world.command(from, |probe| probe.out.dial(target));
}

#[test]
fn an_http_exchange_arrives_whole_and_in_order_however_it_is_cut() {
    for seed in 0..20 {
        let mut world = world(seed);
        let (user, server) = (probe(&mut world, "user"), probe(&mut world, "server"));
        ask(&mut world, user, "http://server", 3_000);
        run(&mut world);
        let at_server = heard(&mut world, server);
        assert_eq!(at_server.first(), Some(&Heard::Request("/x".into())));
        assert_eq!(at_server.last(), Some(&Heard::Finished));
        assert_eq!(bytes(&at_server), 3_000);

        world.command(server, |probe| {
            let stream = probe.streams[0];
            probe.out.respond_whole(stream, ResponseHead::new(200), vec![1; 500]);
        });
        run(&mut world);
        let at_user = heard(&mut world, user);
        let body =
            at_user.iter().skip_while(|heard| **heard != Heard::Status(200)).cloned().collect::<Vec<_>>();
        assert_eq!((bytes(&body), body.last()), (500, Some(&Heard::Finished)));
        assert_eq!(world.take_failures(), Vec::<String>::new());
        assert!(world.streams.is_empty(), "an exchange that is over is forgotten");
    }
}

#[test]
fn a_machine_that_grants_nothing_is_given_one_window_and_no_byte_more() {
    let mut world = world(1);
    let (user, server) = (probe(&mut world, "user"), probe(&mut world, "server"));
    world.command(server, |probe| probe.reads = false);
    ask(&mut world, user, "http://server", STREAM_WINDOW as usize + 1_000);
    run(&mut world);
    let at_server = heard(&mut world, server);
    assert_eq!(bytes(&at_server), STREAM_WINDOW as usize);
    assert!(!at_server.contains(&Heard::Finished));
    let left: u32 =
        heard(&mut world, user).iter().map(|h| if let Heard::Credit(bytes) = h { *bytes } else { 0 }).sum();
    assert_eq!(left, STREAM_WINDOW, "the sender knows how much has left it");

    world.command(server, |probe| probe.out.grant(probe.streams[0], 1_000));
    run(&mut world);
    let rest = heard(&mut world, server);
    assert_eq!((bytes(&rest), rest.last()), (1_000, Some(&Heard::Finished)));
}

#[test]
fn an_address_nobody_has_is_unreachable() {
    let mut world = world(1);
    let user = probe(&mut world, "user");
    ask(&mut world, user, "http://nobody", 10);
    run(&mut world);
    assert_eq!(heard(&mut world, user).last(), Some(&Heard::Reset(ResetCode::Unreachable)));
}

#[test]
fn a_dial_ends_in_a_link_on_both_sides_or_in_its_error() {
    let mut world = world(3);
    let (a, b) = (probe(&mut world, "a"), probe(&mut world, "b"));
    dial(&mut world, a, "b", "b");
    run(&mut world);
    let at_a = heard(&mut world, a);
    assert!(
        matches!(&at_a[..], [Heard::Up(Some(true)), Heard::Done(Completion::Dialled(Ok(_)))]),
        "{at_a:?}"
    );
    assert_eq!(heard(&mut world, b), [Heard::Up(Some(false))]);

    dial(&mut world, a, "b", "c");
    run(&mut world);
    let at_a = heard(&mut world, a);
    assert!(matches!(&at_a[..], [Heard::Done(Completion::Dialled(Err(_)))]), "the key is pinned: {at_a:?}");
    assert_eq!(heard(&mut world, b), []);
}

#[test]
fn the_listener_may_open_a_stream_at_once_and_the_dialler_hears_of_the_link_first() {
    for seed in 0..20 {
        let mut world = world(seed);
        let (a, b) = (probe(&mut world, "a"), probe(&mut world, "b"));
        dial(&mut world, a, "b", "b");
        while world.command(b, |probe| probe.links.is_empty()) == Some(true) {
            world.step();
        }
        world.command(b, |probe| {
            let stream = probe.out.open(probe.links[0]);
            probe.out.send(stream, vec![1, 2, 3]);
        });
        run(&mut world);
        let at_a = heard(&mut world, a);
        assert!(matches!(&at_a[..3], [Heard::Up(_), Heard::Done(_), Heard::Opened]), "{at_a:?}");
        assert_eq!(bytes(&at_a), 3);
    }
}

#[test]
fn a_host_that_stands_still_for_long_is_dialled_in_vain_and_takes_on_no_link() {
    let mut world = world(3);
    let [a, b] = ["a", "b"].map(|name| probe(&mut world, name));
    world.stall(b, world.now() + Span::from_secs(600));
    for _ in 0..5 {
        dial(&mut world, a, "b", "b");
    }
    run(&mut world);
    assert_eq!((world.burden(b).links, heard(&mut world, b)), (0, Vec::new()));
    let vain = heard(&mut world, a);
    assert!(vain.len() == 5 && vain.iter().all(|heard| matches!(heard, Heard::Done(_))), "{vain:?}");
}

#[test]
fn closing_a_link_ends_its_streams_and_tells_both_sides() {
    // Whoever dialled, either side may open streams, and either may close.
    for (opener, closer) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut world = world(3);
        let hosts = [probe(&mut world, "a"), probe(&mut world, "b")];
        dial(&mut world, hosts[0], "b", "b");
        run(&mut world);
        world.command(hosts[opener], |probe| probe.out.open(probe.links[0]));
        run(&mut world);
        world.command(hosts[closer], |probe| {
            let link = probe.links[0];
            probe.out.close(link, "done");
        });
        run(&mut world);
        for host in hosts {
            let last = heard(&mut world, host);
            let [.., reset, down] = &last[..] else { panic!("{last:?}") };
            let ended = (reset, down);
            assert_eq!(ended, (&Heard::Reset(ResetCode::Unreachable), &Heard::Down(DownReason::Closed)));
        }
        assert!(world.streams.is_empty() && world.links.is_empty());
        assert_eq!(world.take_failures(), Vec::<String>::new());
    }
}

#[test]
fn the_peer_of_a_crashed_host_may_go_on_sending_until_it_hears_of_it() {
    for opener in [0, 1] {
        let mut world = world(3);
        let hosts = [probe(&mut world, "a"), probe(&mut world, "b")];
        dial(&mut world, hosts[0], "b", "b");
        run(&mut world);
        let stream = world.command(hosts[opener], |probe| probe.out.open(probe.links[0])).unwrap();
        run(&mut world);
        world.crash(hosts[1]);
        world.command(hosts[0], |probe| {
            let stream = probe.streams.first().copied().unwrap_or(stream);
            probe.out.send(stream, vec![1; 10]);
        });
        run(&mut world);
        assert_eq!(world.take_failures(), Vec::<String>::new());
        let ended = [Heard::Reset(ResetCode::Unreachable), Heard::Down(DownReason::TimedOut)];
        assert!(heard(&mut world, hosts[0]).ends_with(&ended));
    }
}

#[test]
fn a_crash_silences_mesh_links_resets_http_and_loses_what_was_not_durable() {
    let mut survivors = 0;
    for seed in 0..20 {
        let mut world = world(seed);
        let (a, b) = (probe(&mut world, "a"), probe(&mut world, "b"));
        dial(&mut world, a, "b", "b");
        ask(&mut world, a, "http://b", 10);
        let put = |key: &str| vec![Write::Put(TABLE, Row { key: key.into(), value: vec![] })];
        world.command(b, |probe| probe.out.store(put("durable")));
        run(&mut world);
        assert!(heard(&mut world, b).contains(&Heard::Done(Completion::Stored(Ok(())))));
        heard(&mut world, a);

        let crashed_at = world.now();
        world.command(b, |probe| probe.out.store(put("under way")));
        world.crash(b);
        world.restart(b);
        run(&mut world);
        let at_a = heard(&mut world, a);
        assert_eq!(at_a, [Heard::Reset(ResetCode::Unreachable), Heard::Down(DownReason::TimedOut)]);
        assert!(world.now() - crashed_at >= Span::from_secs(15));
        assert_eq!(heard(&mut world, b), [], "a new life hears nothing of the old one");
        let rows = world.machine(b).unwrap().rows;
        assert!(rows == 1 || rows == 2, "{rows}");
        survivors += rows - 1;
    }
    assert!((1..20).contains(&survivors), "an unsynced write is sometimes lost, sometimes not: {survivors}");
}

#[test]
fn who_is_to_die_while_it_writes_dies_then_or_not_at_all() {
    for over in [false, true] {
        let mut world = world(6);
        let host = probe(&mut world, "a");
        world.set_disk_slowness(host, 1_000);
        world.set_dies_writing(host, Some(Death::Clean));
        world.command(host, |probe| {
            probe.out.store([Write::Put(TABLE, Row::json("key", &1))].into());
        });
        if over {
            // The fault has passed and whoever looks after its victim has gone; the write takes longer.
            world.set_dies_writing(host, None);
        }
        run(&mut world);
        assert_eq!(world.is_up(host), over);
    }
}

#[test]
fn a_machine_that_starts_on_a_torn_store_is_a_failure() {
    let mut torn = 0;
    for seed in 0..8 {
        let mut world = world(seed);
        let host = probe(&mut world, "a");
        world.set_dies_writing(host, Some(Death::Torn));
        world.command(host, |probe| {
            probe.out.store([Write::Put(TABLE, Row::json("key", &1))].into());
        });
        run(&mut world);
        world.restart(host);
        let failures = world.take_failures();
        assert_eq!(failures.iter().any(|what| what.contains("torn store")), world.disk(host).is_torn());
        torn += failures.len();
    }
    assert!(torn > 0, "no write was torn");
}

#[test]
fn the_end_of_an_old_life_s_link_does_not_touch_the_new_life_s_streams() {
    let mut world = world(4);
    let (a, b) = (probe(&mut world, "a"), probe(&mut world, "b"));
    let open = |world: &mut World<Probe>| {
        dial(world, b, "a", "a");
        while world.command(b, |probe| probe.links.is_empty()) == Some(true) {
            world.step();
        }
        world.command(b, |probe| probe.out.open(probe.links[0])).unwrap()
    };
    let first = open(&mut world);
    run(&mut world);
    world.crash(b);
    world.restart(b);
    let second = open(&mut world);
    assert_eq!(first, second, "a machine numbers its streams from the start again");
    run(&mut world);
    assert!(heard(&mut world, a).contains(&Heard::Down(DownReason::TimedOut)), "the old link is gone");

    world.command(b, |probe| probe.out.send(second, vec![1; 9]));
    run(&mut world);
    assert_eq!((bytes(&heard(&mut world, a)), world.take_failures()), (9, Vec::new()));
}

#[test]
fn a_machine_is_woken_exactly_when_it_asked() {
    let mut world = world(1);
    world.schedule(Time(1_000), 9);
    assert_eq!(world.step(), Some(Step::Due(9)));
    let a = probe(&mut world, "a");
    let at = Time(7_777);
    world.command(a, |probe| probe.wake = Some(Wake { at: Time(9_999), why: "later" }));
    world.command(a, |probe| probe.wake = Some(Wake { at, why: "earlier" }));
    run(&mut world);
    assert_eq!(heard(&mut world, a), [Heard::Woken(at)], "once, on its own clock");
}

#[test]
fn a_wake_that_changes_nothing_is_a_failure() {
    let mut world = world(1);
    let a = probe(&mut world, "a");
    world.command(a, |probe| {
        probe.stuck = true;
        probe.wake = Some(Wake { at: Time(5), why: "no reason" });
    });
    run(&mut world);
    let failures = world.take_failures();
    assert!(matches!(&failures[..], [one] if one.contains("busy timer: no reason")), "{failures:?}");
}

#[test]
fn sending_on_a_stream_that_is_gone_is_a_failure() {
    let mut world = world(1);
    let (a, _) = (probe(&mut world, "a"), probe(&mut world, "b"));
    let stream = ask(&mut world, a, "http://b", 1);
    world.command(a, |probe| probe.out.send(stream, vec![1]));
    assert!(world.take_failures()[0].contains("broke the contract"));
}

#[test]
fn the_trace_hash_follows_from_the_seed() {
    let hash = |seed| {
        let mut world = world(seed);
        let (user, _) = (probe(&mut world, "user"), probe(&mut world, "server"));
        ask(&mut world, user, "http://server", 3_000);
        run(&mut world);
        world.trace_hash()
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}
