//! What is taken is acknowledged, and what is not acknowledged is not sent on: neither side can lose more than a window.

use labman_proto_core::limits::{
    ACK_EVERY, ACK_STORED, ACK_TOKENS, ACK_WITHIN, STATE_AFTER, UNACKED, UNACKED_FIRST, UNACKED_INPUT,
};
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{Chunk, RefusalCode};
use labman_proto_core::wire::portal::End;
use labman_proto_core::wire::portman::FromPortman;

use super::jobs::{Shop, shop};
use super::lies::running;
use super::peer::{Peer, content, counts, frames};
use super::portman::{Order, Portman, body, declined, delivery, end, model, refusal};
use super::rig::{FEP, FEP_KEY, OTHER, PEER, Rig, seal};

/// A job of that provider that runs, on its stream.
fn at_work(shop: &mut Shop, number: u8) -> (Order, StreamId, u64) {
    let order = shop.order(number);
    let stream = order.place(&mut shop.rig, &mut shop.gateway);
    let job = shop.portman.started(&mut shop.rig)[0];
    (order, stream, job)
}

/// The runtime makes so many tokens, one a chunk, from that on.
fn make(shop: &mut Shop, job: u64, from: u32, to: u32) {
    for said in from..=to {
        let chunk = FromPortman::Chunk { job, data: content("x").to_string(), counts: counts(10, said) };
        shop.portman.say(&mut shop.rig, &chunk);
    }
}

/// Output of the last chunk that came on a stream.
fn sent(rig: &mut Rig, stream: StreamId) -> Option<u32> {
    let heard = frames(&rig.hear(stream));
    let chunks = heard.iter().filter(|(kind, _)| *kind == Kind::Chunk);
    chunks.map(|(_, payload)| cbor::decode::<Chunk>(payload).unwrap().counts.output).next_back()
}

fn acknowledge(shop: &mut Shop, order: &Order, stream: StreamId, output: u32) {
    shop.rig.deliver(stream, &order.ack(PEER, counts(10, output)));
}

#[test]
fn a_provider_sends_eight_tokens_on_trust_and_then_a_window_beyond_what_is_acknowledged() {
    let mut shop = shop();
    let (order, stream, job) = at_work(&mut shop, 1);
    make(&mut shop, job, 1, 100);
    assert_eq!(sent(&mut shop.rig, stream), Some(UNACKED_FIRST));
    acknowledge(&mut shop, &order, stream, 1);
    assert_eq!(sent(&mut shop.rig, stream), Some(1 + UNACKED));
    acknowledge(&mut shop, &order, stream, 20);
    assert_eq!(sent(&mut shop.rig, stream), Some(20 + UNACKED));
    // The end waits behind what waits.
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job, counts: counts(10, 100) });
    assert!(end(&frames(&shop.rig.hear(stream))).is_none());
    acknowledge(&mut shop, &order, stream, 84);
    let (said, _) = end(&frames(&shop.rig.hear(stream))).expect("an end");
    assert_eq!((said.counts, said.chunks, said.end), (counts(10, 100), 100, End::Complete));
    assert!(said.ack.is_some(), "it shows what it was promised");
}

#[test]
fn a_chunk_larger_than_the_window_goes_alone() {
    let mut shop = shop();
    let (order, stream, job) = at_work(&mut shop, 1);
    make(&mut shop, job, 30, 31);
    assert_eq!(sent(&mut shop.rig, stream), Some(30));
    acknowledge(&mut shop, &order, stream, 30);
    assert_eq!(sent(&mut shop.rig, stream), Some(31));
}

#[test]
fn a_gateway_that_takes_and_never_acknowledges_gets_no_more_and_loses_its_slot() {
    let mut shop = shop();
    let (_, stream, job) = at_work(&mut shop, 1);
    make(&mut shop, job, 1, 20);
    assert_eq!(sent(&mut shop.rig, stream), Some(UNACKED_FIRST));
    shop.rig.pass(Span(ACK_WITHIN.0 - 1_000_000));
    assert_eq!(shop.rig.reset_of(stream), None);
    shop.rig.pass(Span::from_millis(1));
    assert_eq!(shop.rig.reset_of(stream), Some(ResetCode::Cancelled));
    assert_eq!(shop.portman.cancelled(&mut shop.rig), [job]);
    assert_eq!(shop.rig.disk.rows("authorizations")[0].1["stated"]["output"], UNACKED_FIRST);
}

#[test]
fn a_gateway_that_has_acknowledged_too_little_is_not_worked_for_until_that_is_forgiven() {
    let mut shop = shop();
    let big = u32::try_from(UNACKED_INPUT / 2).unwrap();
    let order = |shop: &Shop, number: u8| {
        let mut order = shop.order(number);
        order.auth.input_bound = big;
        order
    };
    let large = {
        let mut order = order(&shop, 9);
        order.auth.input_bound = u32::try_from(4 * UNACKED_INPUT).unwrap();
        order
    };
    let stream = large.place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(refusal(&mut shop.rig, stream), None, "whoever owes nothing may ask for much");
    let job = shop.portman.started(&mut shop.rig)[0];
    make(&mut shop, job, 1, 5);
    shop.rig.deliver(stream, &large.ack(PEER, counts(10, 5)));
    shop.rig.reset(stream, ResetCode::Cancelled);
    for number in 1..=2 {
        let stream = order(&shop, number).place(&mut shop.rig, &mut shop.gateway);
        let job = shop.portman.started(&mut shop.rig)[0];
        make(&mut shop, job, 1, 20);
        // However it leaves.
        match number {
            1 => shop.rig.reset(stream, ResetCode::Cancelled),
            _ => shop.rig.finish(stream),
        }
    }
    let stream = order(&shop, 3).place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(declined(&mut shop.rig, stream), Some((RefusalCode::NotTrusted, true)));
    // Another gateway's are another matter.
    let mut other = Peer::admitted(&mut shop.rig, OTHER);
    let theirs = Order::new(&shop.rig, OTHER, &shop.offer, 4);
    let stream = theirs.place(&mut shop.rig, &mut other);
    assert_eq!(refusal(&mut shop.rig, stream), None);
}

#[test]
fn an_acknowledgement_that_does_not_hold_ends_the_job() {
    type Twist = fn(&Order) -> Vec<u8>;
    let cases: [(&str, Twist); 4] = [
        ("signed by another", |order| order.ack(OTHER, counts(10, 5))),
        ("signed by the FEP", |order| order.ack(FEP, counts(10, 5))),
        ("of nothing", |order| order.ack(PEER, counts(10, 0))),
        ("of another job", |order| {
            let mut other = order.auth.clone();
            other.auth_id.0[0] ^= 1;
            Order {
                auth: other,
                body: Vec::new(),
                request: order.request.clone(),
                offer: order.offer.clone(),
                ..*order
            }
            .ack(PEER, counts(10, 5))
        }),
    ];
    for (what, twist) in cases {
        let mut shop = shop();
        let (order, stream, job) = at_work(&mut shop, 1);
        make(&mut shop, job, 1, 20);
        let ack = twist(&order);
        shop.rig.deliver(stream, &ack);
        assert_eq!(shop.rig.reset_of(stream), Some(ResetCode::Protocol), "{what}");
        assert_eq!(shop.portman.cancelled(&mut shop.rig), [job], "{what}");
    }
}

#[test]
fn a_job_that_its_gateway_cancels_is_stated_as_far_as_it_was_sent() {
    let mut shop = shop();
    let (order, stream, job) = at_work(&mut shop, 1);
    make(&mut shop, job, 1, 20);
    acknowledge(&mut shop, &order, stream, 5);
    make(&mut shop, job, 21, 90);
    shop.rig.hear(stream);
    shop.rig.finish(stream);
    assert_eq!(shop.portman.cancelled(&mut shop.rig), [job]);
    let (said, _) = end(&frames(&shop.rig.hear(stream))).expect("its last word");
    assert_eq!((said.counts.output, said.end), (5 + UNACKED, End::Cancelled));
    assert!(shop.rig.wires[&stream].finished);
}

#[test]
fn a_job_that_is_cancelled_before_anything_was_sent_is_released() {
    let mut shop = shop();
    let (_, stream, job) = at_work(&mut shop, 1);
    shop.rig.finish(stream);
    assert_eq!(declined(&mut shop.rig, stream), Some((RefusalCode::Cancelled, true)));
    assert_eq!(shop.portman.cancelled(&mut shop.rig), [job]);
    // While it is being recorded, too.
    shop.rig.store_held = true;
    let stream = shop.order(2).place(&mut shop.rig, &mut shop.gateway);
    shop.rig.finish(stream);
    shop.rig.release_store();
    assert_eq!(declined(&mut shop.rig, stream), Some((RefusalCode::Cancelled, true)));
    assert!(shop.portman.started(&mut shop.rig).is_empty());
}

#[test]
fn a_statement_that_no_receipt_came_for_is_shown_to_the_fep_until_it_answers() {
    let mut shop = shop();
    let (order, stream, job) = at_work(&mut shop, 1);
    make(&mut shop, job, 1, 8);
    acknowledge(&mut shop, &order, stream, 8);
    shop.rig.reset(stream, ResetCode::Cancelled);
    shop.rig.pass(STATE_AFTER);
    assert_eq!(shop.rig.fep.statements.len(), 1);
    let said = &shop.rig.fep.statements[0];
    assert_eq!((said.counts, said.end, said.ack.is_some()), (counts(10, 8), End::Cancelled, true));
    // It did not answer: in the next life, too, the same is said.
    shop.rig.pass(Span::from_secs(60));
    let before = shop.rig.fep.statements.len();
    assert!((3..20).contains(&before), "{before} times in a minute");
    shop.rig.restart();
    shop.rig.pass(Span::from_secs(60));
    assert!(shop.rig.fep.statements.len() > before);
    assert!(shop.rig.fep.statements.windows(2).all(|pair| pair[0] == pair[1]));
    // Its receipt is the answer.
    let receipt = seal(FEP_KEY, order.receipt(counts(10, 8)));
    shop.rig.fep.says = Some(("/v1/statements", 200, receipt));
    shop.rig.pass(Span::from_secs(60));
    let kept = ["receipts_open", "receipts_paid"].map(|table| shop.rig.disk.rows(table).len());
    assert_eq!(kept.iter().sum::<usize>(), 1);
    let asked = shop.rig.fep.statements.len();
    shop.rig.pass(Span::from_secs(600));
    assert_eq!(shop.rig.fep.statements.len(), asked);
}

#[test]
fn where_the_fep_owes_nothing_the_provider_waits_no_longer() {
    let mut shop = shop();
    let (_, stream, job) = at_work(&mut shop, 1);
    make(&mut shop, job, 1, 8);
    shop.rig.reset(stream, ResetCode::Cancelled);
    shop.rig.fep.says = Some(("/v1/statements", 204, Vec::new()));
    shop.rig.pass(STATE_AFTER);
    assert_eq!(shop.rig.admin("/exposure")["feps"][0]["total"], 0);
    assert_eq!(shop.rig.disk.rows("authorizations")[0].1["receipt"], "nothing");
}

#[test]
fn a_provider_that_crashes_shows_the_last_acknowledgement_that_it_had_stored() {
    let mut shop = shop();
    let most = ACK_STORED + 50;
    let mut order = shop.order(1);
    order.auth.max_output = 2 * most;
    order.auth.attempts[0].max_payout = Micros(5_000_000);
    order.set_body(&body(2 * most));
    let stream = order.place(&mut shop.rig, &mut shop.gateway);
    let job = shop.portman.started(&mut shop.rig)[0];
    for step in (1..=most).step_by(50) {
        make(&mut shop, job, step, step + 49);
        acknowledge(&mut shop, &order, stream, step.min(most));
        shop.rig.hear(stream);
    }
    shop.rig.restart();
    Portman::attach(&mut shop.rig, vec![model("toy", 1)]);
    shop.rig.pass(Span(STATE_AFTER.0 * 2));
    let said = &shop.rig.fep.statements[0];
    assert_eq!((said.end, said.ack.is_some()), (End::Forgotten, true));
    assert!(said.counts.output >= ACK_STORED - 50, "{:?}", said.counts);
}

#[test]
fn a_gateway_acknowledges_the_first_token_and_then_by_tokens_or_time() {
    let (mut rig, _, mut job, _) = running();
    job.text(&mut rig, counts(10, 1), "x");
    let acks = job.acks(&mut rig);
    assert_eq!((acks.len(), acks[0].counts, acks[0].auth_id), (1, counts(10, 1), job.auth().auth_id));
    for said in 2..=ACK_TOKENS {
        job.text(&mut rig, counts(10, said), "x");
    }
    assert!(job.acks(&mut rig).is_empty());
    job.text(&mut rig, counts(10, ACK_TOKENS + 1), "x");
    assert_eq!(job.acks(&mut rig)[0].counts.output, ACK_TOKENS + 1);
    rig.pass(ACK_EVERY);
    job.text(&mut rig, counts(10, ACK_TOKENS + 2), "x");
    assert_eq!(job.acks(&mut rig)[0].counts.output, ACK_TOKENS + 2);
    // Nothing more may come, because the provider waits for it.
    rig.pass(Span::from_millis(10));
    job.text(&mut rig, counts(10, ACK_TOKENS + 3), "x");
    assert!(job.acks(&mut rig).is_empty());
    rig.pass(ACK_EVERY);
    assert_eq!(job.acks(&mut rig)[0].counts.output, ACK_TOKENS + 3);
    // Tokens that no text came for are not.
    rig.pass(ACK_EVERY);
    job.text(&mut rig, counts(10, 10_000), "");
    assert!(job.acks(&mut rig).is_empty());
}

#[test]
fn a_receipt_that_comes_before_its_job_s_end_stays_one() {
    let mut shop = shop();
    let (order, stream, job) = at_work(&mut shop, 1);
    make(&mut shop, job, 1, 8);
    acknowledge(&mut shop, &order, stream, 8);
    let receipt = delivery(FEP_KEY, &order.receipt(counts(10, 8)));
    shop.gateway.say(&mut shop.rig, shop.gateway.control, Kind::ReceiptDelivery, &receipt);
    shop.rig.reset(stream, ResetCode::Cancelled);
    assert_eq!(shop.rig.disk.rows("authorizations")[0].1["receipt"], "stored");
    let exposure = &shop.rig.admin("/exposure")["feps"][0];
    assert_eq!((&exposure["in_flight"], &exposure["stated"]), (&serde_json::json!(0), &serde_json::json!(0)));
    shop.rig.pass(Span(STATE_AFTER.0 * 2));
    assert!(shop.rig.fep.statements.is_empty(), "nothing is left to ask for");
}
