//! A provider whose gateway, Portman or store fails it: no work unpaid, nothing kept that could hurt it later.

use labman_proto_core::limits::{FIRST_CHUNK, GATEWAY_STALL, HTTP_BODY, JOB_TOTAL, SETTLE_MARGIN};
use labman_proto_core::machine::{DownReason, ResetCode};
use labman_proto_core::money::Micros;
use labman_proto_core::node::config::{self, Caps};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Kind, light};
use labman_proto_core::wire::ids::{Hash, RequestId};
use labman_proto_core::wire::mesh::RefusalCode;
use labman_proto_core::wire::object::Sealed;
use labman_proto_core::wire::portal::Offer;
use labman_proto_core::wire::portman::{Fault, FromPortman, ToPortman};
use serde_json::json;

use super::peer::{Peer, content, counts, frames};
use super::portman::{Order, Portman, body, declined, end, model, offer_of, refusal};
use super::rig::{OTHER, PEER, Rig, STRANGER, identity, node, provider_config, seal};

pub(crate) struct Shop {
    pub(crate) rig: Rig,
    pub(crate) portman: Portman,
    pub(crate) gateway: Peer,
    pub(crate) offer: Sealed<Offer>,
}

/// A provider with one model of one slot, and a gateway that is linked to it.
pub(crate) fn shop() -> Shop {
    let mut rig = Rig::provider();
    let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
    let gateway = Peer::admitted(&mut rig, PEER);
    let offer = offer_of(&mut rig, &gateway);
    Shop { rig, portman, gateway, offer }
}

impl Shop {
    pub(crate) fn order(&self, number: u8) -> Order {
        Order::new(&self.rig, PEER, &self.offer, number)
    }

    fn rows(&self) -> usize {
        self.rig.disk.rows("authorizations").len()
    }
}

#[test]
fn what_is_not_paid_for_is_refused_with_its_reason_and_leaves_no_trace_unless_it_could_be_shown_again() {
    use RefusalCode::{BadAuthorization, BadRequest, ModelNotAvailable, NotTrusted, OfferChanged};
    type Twist = fn(&mut Order);
    const RELEASED: [&str; 6] = [
        "a micro too small",
        "with too few output tokens",
        "with too few input tokens",
        "with a forbidden field",
        "without a bound",
        "for nothing",
    ];
    let cases: [(&str, RefusalCode, Twist); 22] = [
        ("another FEP's", NotTrusted, |o| o.request.fep_id = identity(STRANGER).fep_id()),
        ("signed by a stranger", BadAuthorization, |o| o.signer = STRANGER),
        ("signed by the gateway", BadAuthorization, |o| o.signer = PEER),
        ("naming another FEP inside", BadAuthorization, |o| o.auth.fep_id = identity(STRANGER).fep_id()),
        ("for another gateway", BadAuthorization, |o| o.auth.gateway = node(OTHER)),
        ("for another request", BadAuthorization, |o| o.request.request_id = RequestId([99; 16])),
        ("for another provider", BadAuthorization, |o| o.auth.attempts[0].provider = node(OTHER)),
        ("for another offer", BadAuthorization, |o| o.auth.attempts[0].offer_hash = Hash([1; 32])),
        ("for an offer we never made", OfferChanged, |o| o.request.offer_hash = Hash([1; 32])),
        ("an attempt that is not there", BadAuthorization, |o| o.request.attempt = 1),
        ("paid in another currency", BadAuthorization, |o| {
            o.auth.attempts[0].payout_currency = "EUR".parse().unwrap();
        }),
        ("at a rate of its own currency", BadAuthorization, |o| {
            o.auth.attempts[0].rate = "0.92".parse().unwrap();
        }),
        ("no attempts", BadAuthorization, |o| o.auth.attempts.clear()),
        ("too old", BadAuthorization, |o| o.auth.issued_ms -= 100_000),
        ("of the beginning of time", BadAuthorization, |o| o.auth.issued_ms = 0),
        ("too short", BadAuthorization, |o| o.auth.ttl_s = 700),
        ("a micro too small", BadAuthorization, |o| o.auth.attempts[0].max_payout = Micros(500)),
        ("with too few output tokens", BadAuthorization, |o| o.auth.max_output = 99),
        ("with too few input tokens", BadAuthorization, |o| o.auth.input_bound = 10),
        ("with a forbidden field", BadRequest, |o| {
            let mut body = body(100);
            body["user"] = json!("ann");
            o.set_body(&body);
        }),
        ("without a bound", BadRequest, |o| {
            let mut body = body(100);
            body.as_object_mut().unwrap().remove("max_tokens");
            o.set_body(&body);
        }),
        ("for nothing", BadRequest, |o| o.set_body(&body(0))),
    ];
    for (what, code, twist) in cases {
        let mut shop = shop();
        let mut order = shop.order(1);
        twist(&mut order);
        let stream = order.place(&mut shop.rig, &mut shop.gateway);
        let (refused, released) = declined(&mut shop.rig, stream).expect(what);
        assert_eq!(refused, code, "{what}");
        assert!(shop.rig.wires[&stream].finished, "{what}");
        // Of what is paid for the provider says that nothing will be owed: so it must not take it on later.
        assert_eq!(shop.rows(), usize::from(released), "{what}");
        assert!(!released || RELEASED.contains(&what), "{what}");
        let again = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
        let refused = declined(&mut shop.rig, again).map(|(code, _)| code);
        assert_eq!(refused, released.then_some(BadAuthorization), "{what}");
        assert_eq!(shop.portman.started(&mut shop.rig).len(), usize::from(!released), "{what}");
        assert!(shop.rig.is_up(shop.gateway.link), "{what}");
    }
    let mut shop = shop();
    shop.rig.link_down(shop.portman.link);
    let stream = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(refusal(&mut shop.rig, stream), Some(ModelNotAvailable));
}

#[test]
fn what_breaks_the_protocol_resets_its_stream_only() {
    let mut shop = shop();
    let order = shop.order(1);
    let request = |o: &Order| {
        let mut request = o.request.clone();
        request.authorization = Blob(seal(o.signer, o.auth.clone()));
        request
    };
    let body_first = light(Kind::Body, &order.body);
    let good = shop.gateway.frame(Kind::ProxyRequest, &cbor::encode(&request(&order)));
    let again = shop.gateway.frame(Kind::ProxyRequest, &cbor::encode(&request(&order)));
    let mut wrong_hash = request(&order);
    wrong_hash.body_hash.0[0] ^= 1;
    let wrong_hash = shop.gateway.frame(Kind::ProxyRequest, &cbor::encode(&wrong_hash));
    let mut huge = request(&order);
    huge.body_len = HTTP_BODY as u32 + 1;
    let huge = shop.gateway.frame(Kind::ProxyRequest, &cbor::encode(&huge));
    let malformed = shop.gateway.frame(Kind::ProxyRequest, b"\xa1\x00\x01");
    let strange = shop.gateway.frame(Kind::ReceiptDelivery, b"\xa0");
    let mut longer = order.body.clone();
    longer.push(b' ');
    for (what, bytes) in [
        ("body first", body_first.clone()),
        ("two requests", [good.clone(), again].concat()),
        ("the request twice", [good.clone(), good.clone()].concat()),
        ("a body of another hash", [wrong_hash, body_first.clone()].concat()),
        ("a longer body", [good.clone(), light(Kind::Body, &longer)].concat()),
        ("a huge body", huge),
        ("a malformed request", malformed),
        ("a receipt before the job", strange),
        ("a chunk from the gateway", light(Kind::Chunk, b"\xa0")),
        ("an endless frame", vec![0xff; 8]),
    ] {
        let stream = shop.rig.open(shop.gateway.link);
        shop.rig.deliver(stream, &bytes);
        assert_eq!(shop.rig.reset_of(stream), Some(ResetCode::Protocol), "{what}");
        assert_eq!(shop.rows(), 0, "{what}");
    }
    assert!(shop.rig.is_up(shop.gateway.link));
    order.place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(shop.portman.started(&mut shop.rig), [1]);
}

#[test]
fn an_authorization_is_good_for_one_stream_once() {
    let mut shop = shop();
    let order = shop.order(1);
    // Twice at once, before the first is on the disk.
    shop.rig.store_held = true;
    let first = order.place(&mut shop.rig, &mut shop.gateway);
    let second = order.place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(refusal(&mut shop.rig, second), Some(RefusalCode::BadAuthorization));
    assert!(shop.portman.started(&mut shop.rig).is_empty(), "nothing runs before it is on record");
    shop.rig.release_store();
    assert_eq!(shop.portman.started(&mut shop.rig), [1]);
    // When it runs, when its stream is gone, and in the next life.
    shop.rig.reset(first, ResetCode::Cancelled);
    let third = order.place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(refusal(&mut shop.rig, third), Some(RefusalCode::BadAuthorization));
    shop.rig.restart();
    let portman = Portman::attach(&mut shop.rig, vec![model("toy", 1)]);
    let mut gateway = Peer::admitted(&mut shop.rig, PEER);
    let mut order = order;
    order.request.offer_hash = Hash(offer_of(&mut shop.rig, &gateway).hash);
    order.auth.attempts[0].offer_hash = order.request.offer_hash;
    let fourth = order.place(&mut shop.rig, &mut gateway);
    assert_eq!(refusal(&mut shop.rig, fourth), Some(RefusalCode::BadAuthorization));
    assert!(portman.started(&mut shop.rig).is_empty());
}

#[test]
fn a_job_that_could_not_be_recorded_does_not_run() {
    let mut shop = shop();
    shop.rig.disk.full = true;
    let stream = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    assert!(shop.portman.started(&mut shop.rig).is_empty());
    assert_eq!(frames(&shop.rig.hear(stream)), []);
    assert!(shop.rig.stopped());
}

#[test]
fn an_end_is_said_only_once_it_is_on_record() {
    let mut shop = shop();
    let stream = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    shop.portman.text(&mut shop.rig, 1, "hello", counts(3, 1));
    shop.rig.hear(stream);
    shop.rig.store_held = true;
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job: 1, counts: counts(3, 1) });
    assert_eq!(frames(&shop.rig.hear(stream)), []);
    shop.rig.release_store();
    let end = end(&frames(&shop.rig.hear(stream))).expect("an end");
    assert_eq!((end.0.counts, end.0.chunks, end.1), (counts(3, 1), 1, None));
}

#[test]
fn a_gateway_that_vanishes_frees_its_slot_at_once() {
    let mut shop = shop();
    let vanish: [fn(&mut Shop, labman_proto_core::machine::StreamId); 3] = [
        |shop, stream| shop.rig.reset(stream, ResetCode::Cancelled),
        |shop, stream| shop.rig.finish(stream),
        |shop, _| {
            shop.rig.link_down(shop.gateway.link);
            shop.gateway = Peer::admitted(&mut shop.rig, PEER);
        },
    ];
    for (number, vanish) in (1u8..).zip(vanish) {
        let stream = shop.order(number).place(&mut shop.rig, &mut shop.gateway);
        let job = shop.portman.started(&mut shop.rig)[0];
        shop.portman.text(&mut shop.rig, job, "half an ans", counts(3, 4));
        let busy = shop.order(100 + number).place(&mut shop.rig, &mut shop.gateway);
        assert_eq!(refusal(&mut shop.rig, busy), Some(RefusalCode::Busy));
        vanish(&mut shop, stream);
        assert_eq!(shop.portman.cancelled(&mut shop.rig), [job]);
        // What it says of it later is nobody's.
        shop.portman.text(&mut shop.rig, job, "wer", counts(3, 5));
        shop.portman.say(&mut shop.rig, &FromPortman::Done { job, counts: counts(3, 5) });
        let rows = shop.rig.disk.rows("authorizations");
        let stated = rows.iter().filter(|(_, row)| row["stated"]["output"] == 4).count();
        assert_eq!(stated, usize::from(number));
    }
}

#[test]
fn a_gateway_that_takes_nothing_loses_its_slot_and_one_that_takes_slowly_keeps_it() {
    let mut shop = shop();
    let stream = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    let job = shop.portman.started(&mut shop.rig)[0];
    shop.rig.pass(GATEWAY_STALL);
    assert_eq!(shop.rig.reset_of(stream), None, "nothing waits for it while the runtime thinks");
    shop.rig.wires.get_mut(&stream).unwrap().reads = false;
    for _ in 0..10 {
        shop.portman.text(&mut shop.rig, job, "one more", counts(3, 1));
    }
    for _ in 0..5 {
        shop.rig.pass(Span(GATEWAY_STALL.0 * 9 / 10));
        shop.rig.take(stream, 1);
        assert_eq!(shop.rig.reset_of(stream), None);
    }
    shop.rig.pass(GATEWAY_STALL);
    assert_eq!(shop.rig.reset_of(stream), Some(ResetCode::Cancelled));
    assert_eq!(shop.portman.cancelled(&mut shop.rig), [job]);
    let stated = &shop.rig.disk.rows("authorizations").pop().unwrap().1["stated"];
    assert_eq!(stated["output"], 1);
    let next = shop.order(2).place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(refusal(&mut shop.rig, next), None, "its slot is free");
}

#[test]
fn a_portman_that_vanishes_ends_its_jobs_and_offers() {
    let mut shop = shop();
    let begun = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    shop.portman.text(&mut shop.rig, 1, "half", counts(3, 1));
    shop.rig.link_down(shop.portman.link);
    let end = end(&frames(&shop.rig.hear(begun))).expect("an end");
    assert_eq!(end.1.unwrap().code, RefusalCode::RuntimeFailed);
    let heard = shop.gateway.hears(&mut shop.rig);
    assert_eq!(heard.last().unwrap().0, Kind::CapabilityRecord);

    shop.portman = Portman::attach(&mut shop.rig, vec![model("toy", 1)]);
    let quiet = shop.order(2).place(&mut shop.rig, &mut shop.gateway);
    shop.rig.link_down(shop.portman.link);
    assert_eq!(refusal(&mut shop.rig, quiet), Some(RefusalCode::RuntimeFailed));
}

#[test]
fn a_portman_that_says_nonsense_loses_its_socket() {
    for nonsense in
        ["nonsense\n".as_bytes().to_vec(), vec![b'x'; 1024 * 1024], b"{\"type\":\"hello\"}\n".to_vec()]
    {
        let mut shop = shop();
        shop.rig.deliver(shop.portman.stream, &nonsense);
        assert!(!shop.rig.is_up(shop.portman.link));
    }
    let mut shop = shop();
    for strange in [
        FromPortman::Chunk { job: 7, data: "{}".into(), counts: counts(1, 1) },
        FromPortman::Done { job: 7, counts: counts(1, 1) },
        FromPortman::Failed { job: u64::MAX, fault: Fault::Busy, message: String::new() },
    ] {
        shop.portman.say(&mut shop.rig, &strange);
    }
    assert!(shop.rig.is_up(shop.portman.link));
}

#[test]
fn a_portman_that_sends_beyond_its_credit_fails_its_job() {
    let mut shop = shop();
    let stream = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    shop.rig.wires.get_mut(&stream).unwrap().reads = false;
    for _ in 0..200 {
        shop.portman.text(&mut shop.rig, 1, &"x".repeat(1_000), counts(3, 1));
    }
    let heard = frames(&shop.rig.hear(stream));
    let bytes: usize = heard.iter().map(|(_, payload)| payload.len()).sum();
    assert!(bytes < 80_000, "{bytes} bytes wait for a gateway that reads nothing");
    assert_eq!(end(&heard).expect("an end").1.unwrap().code, RefusalCode::RuntimeFailed);
    assert!(shop.portman.cancelled(&mut shop.rig).contains(&1));
}

#[test]
fn a_portman_gets_credit_only_for_what_the_gateway_has_taken() {
    let mut shop = shop();
    let stream = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    shop.portman.started(&mut shop.rig);
    shop.rig.wires.get_mut(&stream).unwrap().reads = false;
    let size = content(&"x".repeat(1_000)).to_string().len();
    let texts = |shop: &mut Shop| {
        for _ in 0..5 {
            shop.portman.text(&mut shop.rig, 1, &"x".repeat(1_000), counts(3, 1));
        }
    };
    texts(&mut shop);
    assert_eq!(shop.portman.hears(&mut shop.rig), []);
    shop.rig.take(stream, usize::MAX);
    assert_eq!(shop.portman.hears(&mut shop.rig), [], "so little is not worth a message");
    texts(&mut shop);
    shop.rig.take(stream, usize::MAX);
    let heard = shop.portman.hears(&mut shop.rig);
    let granted: u32 = heard
        .iter()
        .map(|message| match message {
            ToPortman::Credit { bytes, .. } => *bytes,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(granted as usize, 10 * size);
}

#[test]
fn a_gateway_that_never_finishes_its_request_is_cut_off() {
    let mut shop = shop();
    let stream = shop.rig.open(shop.gateway.link);
    shop.rig.deliver(stream, &[0, 0, 4]);
    shop.rig.pass(FIRST_CHUNK);
    assert_eq!(shop.rig.reset_of(stream), Some(ResetCode::Cancelled));
    // Nor does a job without an end, or one without a receipt, hold its place for ever.
    let running = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    shop.rig.pass(JOB_TOTAL);
    assert_eq!(shop.rig.reset_of(running), Some(ResetCode::Cancelled));
    assert_eq!(shop.portman.cancelled(&mut shop.rig), [1]);
    let waiting = shop.order(2).place(&mut shop.rig, &mut shop.gateway);
    shop.portman.text(&mut shop.rig, 2, "x", counts(1, 1));
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job: 2, counts: counts(1, 1) });
    shop.rig.pass(SETTLE_MARGIN);
    assert_eq!(shop.rig.reset_of(waiting), Some(ResetCode::Cancelled));
}

#[test]
fn bodies_that_never_become_whole_do_not_fill_the_memory() {
    let mut shop = shop();
    let mut held = 0;
    for number in 0..40 {
        let mut order = shop.order(number);
        order.body = vec![b' '; HTTP_BODY - 1];
        order.request.body_len = HTTP_BODY as u32;
        let mut request = order.request.clone();
        request.authorization = Blob(seal(order.signer, order.auth.clone()));
        let stream = shop.rig.open(shop.gateway.link);
        shop.gateway.say(&mut shop.rig, stream, Kind::ProxyRequest, &cbor::encode(&request));
        if refusal(&mut shop.rig, stream) == Some(RefusalCode::Busy) {
            continue;
        }
        for piece in order.body.chunks(200_000) {
            shop.rig.deliver(stream, &light(Kind::Body, piece));
        }
        held += order.body.len();
    }
    assert!(held <= 40 * 1024 * 1024, "{held} bytes of one gateway's bodies");
    // Others are still heard.
    let mut other = Peer::admitted(&mut shop.rig, OTHER);
    let order = Order::new(&shop.rig, OTHER, &shop.offer, 200);
    order.place(&mut shop.rig, &mut other);
    assert_eq!(shop.portman.started(&mut shop.rig), [1]);
}

#[test]
fn whoever_has_most_makes_room_and_nobody_loses_a_request_for_one_that_is_refused_all_the_same() {
    let caps = Caps { links: 8, memory: 32 << 20, ..Caps::default() };
    let mut rig = Rig::new(config::Config { caps, ..provider_config() });
    let _portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
    let mut gateways = [PEER, OTHER, STRANGER, 99].map(|number| Peer::admitted(&mut rig, number));
    let offer = offer_of(&mut rig, &gateways[0]);
    // Six megabytes in all, three of one.
    let mut ask = |rig: &mut Rig, who: usize, body_len: u32| {
        let order = Order::new(rig, gateways[who].number, &offer, 1);
        let mut request = order.request.clone();
        request.body_len = body_len;
        request.authorization = Blob(seal(order.signer, order.auth.clone()));
        let stream = rig.open(gateways[who].link);
        gateways[who].say(rig, stream, Kind::ProxyRequest, &cbor::encode(&request));
        let refused = refusal(rig, stream) == Some(RefusalCode::Busy);
        (stream, refused)
    };
    let first = ask(&mut rig, 0, 1_200_000);
    let second = ask(&mut rig, 0, 1_200_000);
    let third = ask(&mut rig, 1, 1_200_000);
    assert_eq!([first.1, second.1, third.1], [false; 3]);
    let (_, refused) = ask(&mut rig, 2, 2_500_000);
    assert!(refused, "it would have more than whoever makes room keeps");
    assert_eq!([first.0, second.0, third.0].map(|stream| rig.reset_of(stream)), [None; 3]);
    assert_eq!(
        [ask(&mut rig, 2, 1_200_000), ask(&mut rig, 3, 600_000)].map(|(_, refused)| refused),
        [false; 2]
    );
    assert_eq!(rig.reset_of(first.0), Some(ResetCode::Refused), "the oldest of who has most");
    assert_eq!([second.0, third.0].map(|stream| rig.reset_of(stream)), [None; 2]);
}

#[test]
fn a_flood_of_tiny_frames_is_read_in_linear_time() {
    let mut shop = shop();
    let unknown = [0, 0, 0, 3, 1, 0xff, 0xff];
    let flood: Vec<u8> = unknown.iter().copied().cycle().take(7 * 9_000).collect();
    let order = shop.order(1);
    let stream = shop.rig.open(shop.gateway.link);
    for _ in 0..20 {
        shop.rig.deliver(stream, &flood);
    }
    assert_eq!(shop.rig.waiting(stream), 0);
    order.place_on(&mut shop.rig, &mut shop.gateway, stream);
    assert_eq!(shop.portman.started(&mut shop.rig), [1]);
}

#[test]
fn a_fep_s_clock_at_the_end_of_time_is_no_overflow() {
    let mut shop = shop();
    let mut order = shop.order(1);
    order.auth.issued_ms = u64::MAX - 1;
    order.place(&mut shop.rig, &mut shop.gateway);
    let failed = FromPortman::Failed { job: 1, fault: Fault::Busy, message: "full".into() };
    shop.portman.say(&mut shop.rig, &failed);
    shop.rig.pass(Span::from_secs(120));
    assert_eq!(shop.rows(), 1);
}

#[test]
fn a_portman_that_is_stopped_is_no_warning_and_one_that_is_lost_is() {
    for (reason, words) in [
        (DownReason::Closed, "is detached"),
        (DownReason::Failed, "is gone"),
        (DownReason::TimedOut, "is gone"),
    ] {
        let mut shop = shop();
        shop.rig.link_lost(shop.portman.link, reason);
        assert!(shop.rig.log.last().is_some_and(|line| line.contains(words)), "{:?}", shop.rig.log);
    }
}
