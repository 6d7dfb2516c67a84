//! Chunks have no signatures; the marks among them do. A provider signs in time, and a gateway insists on it.

use labman_proto_core::limits::{MARK_CHUNKS, MARK_EVERY};
use labman_proto_core::machine::ResetCode;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::{Hash, RequestId};
use labman_proto_core::wire::mesh::{ProxyMark, Transcript};
use labman_proto_core::wire::portman::FromPortman;

use super::jobs::{Shop, shop};
use super::lies::running;
use super::peer::{Served, content, counts, frames};
use super::rig::{PEER, Rig};

/// The gateway gave the job up, and reports what it had accepted by then.
fn is_broken_off(what: &str, rig: &Rig, job: &Served, output: u32) {
    assert_eq!(rig.reset_of(job.stream), Some(ResetCode::Cancelled), "{what}");
    let [report] = &rig.fep.reports[..] else { panic!("{what}: {} reports", rig.fep.reports.len()) };
    assert_eq!((report.accepted, &report.statement), (counts(10, output), &None), "{what}");
}

#[test]
fn a_mark_that_does_not_hold_breaks_off_and_settles_what_came() {
    type Twist = fn(&mut ProxyMark);
    let cases: [(&str, Twist); 7] = [
        ("another transcript", |mark| mark.transcript = Hash([1; 32])),
        ("of chunks that have not come", |mark| mark.chunks += 1),
        ("of fewer chunks than came", |mark| mark.chunks -= 1),
        ("of another request", |mark| mark.request_id = RequestId([1; 16])),
        ("of another attempt", |mark| mark.attempt += 1),
        ("more output than the chunks say", |mark| mark.counts.output += 1),
        ("other input than the chunks say", |mark| mark.counts.input = 0),
    ];
    for (what, twist) in cases {
        let (mut rig, _, mut job, _) = running();
        job.text(&mut rig, counts(10, 1), "one ");
        let second = job.bare_chunk(counts(10, 2), &content("two "));
        let mut mark = job.proxy_mark(counts(10, 2));
        twist(&mut mark);
        let mark = job.mark_frame(&mark);
        rig.deliver(job.stream, &[second, mark].concat());
        is_broken_off(what, &rig, &job, 2);
    }
}

#[test]
fn the_first_chunk_is_signed_for_before_the_second_comes() {
    let (mut rig, _, mut job, _) = running();
    let first = job.bare_chunk(counts(10, 1), &content("one "));
    let second = job.bare_chunk(counts(10, 2), &content("two "));
    rig.deliver(job.stream, &first);
    assert_eq!(rig.reset_of(job.stream), None);
    rig.deliver(job.stream, &second);
    is_broken_off("unsigned", &rig, &job, 1);
}

#[test]
fn no_more_chunks_are_taken_than_may_be_unsigned() {
    let (mut rig, _peer, mut job, user) = running();
    job.text(&mut rig, counts(10, 1), ".");
    for number in 0..MARK_CHUNKS as u32 {
        let chunk = job.bare_chunk(counts(10, 2 + number), &content("."));
        rig.deliver(job.stream, &chunk);
        assert_eq!(rig.reset_of(job.stream), None, "chunk {number} behind a mark");
    }
    // An end signs for them, too.
    let all = 1 + MARK_CHUNKS as u32;
    job.end(&mut rig, counts(10, all));
    assert!(rig.text(user).ends_with("data: [DONE]\n\n"));

    let (mut rig, _, mut job, _) = running();
    job.text(&mut rig, counts(10, 1), ".");
    for number in 0..=MARK_CHUNKS as u32 {
        let chunk = job.bare_chunk(counts(10, 2 + number), &content("."));
        rig.deliver(job.stream, &chunk);
    }
    is_broken_off("one more", &rig, &job, all);
}

#[test]
fn marks_of_nothing_new_cost_a_gateway_one_signature() {
    let (mut rig, _, mut job, _) = running();
    job.text(&mut rig, counts(10, 1), "one ");
    let again = job.proxy_mark(counts(10, 1));
    let again = job.mark_frame(&again);
    rig.deliver(job.stream, &again);
    is_broken_off("the same again", &rig, &job, 1);
}

/// What a provider sent on a job's stream: each chunk adds to the transcript, each mark must be of it.
fn marked(
    shop: &mut Shop,
    stream: labman_proto_core::machine::StreamId,
    transcript: &mut Transcript,
) -> Vec<u64> {
    let mut marks = Vec::new();
    for (kind, payload) in frames(&shop.rig.hear(stream)) {
        match kind {
            Kind::Chunk => transcript.add(&payload),
            Kind::ProxyMark => {
                let mark: ProxyMark = cbor::decode(&payload).unwrap();
                assert_eq!((mark.chunks, mark.transcript), (transcript.chunks(), transcript.hash()));
                assert_eq!(mark.counts, counts(10, mark.chunks as u32));
                marks.push(mark.chunks);
            }
            other => panic!("{other:?}"),
        }
    }
    marks
}

#[test]
fn a_provider_signs_for_the_first_chunk_at_once_and_for_others_in_time() {
    let mut shop = shop();
    let order = shop.order(1);
    let stream = order.place(&mut shop.rig, &mut shop.gateway);
    let job = shop.portman.started(&mut shop.rig)[0];
    let (mut transcript, mut said) = (Transcript::default(), 0);
    let mut chunks = |shop: &mut Shop, number: u64| {
        for _ in 0..number {
            said += 1;
            let data = content("x").to_string();
            let chunk = FromPortman::Chunk { job, data, counts: counts(10, said) };
            shop.portman.say(&mut shop.rig, &chunk);
            let ack = order.ack(PEER, counts(10, said));
            shop.rig.deliver(stream, &ack);
        }
        marked(shop, stream, &mut transcript)
    };
    assert_eq!(chunks(&mut shop, 1), [1]);
    assert_eq!(chunks(&mut shop, MARK_CHUNKS - 1), [0u64; 0]);
    assert_eq!(chunks(&mut shop, 1), [1 + MARK_CHUNKS]);
    shop.rig.pass(Span::from_millis(MARK_EVERY.as_millis() - 1));
    assert_eq!(chunks(&mut shop, 2), [0u64; 0]);
    shop.rig.pass(Span::from_millis(1));
    assert_eq!(chunks(&mut shop, 3), [4 + MARK_CHUNKS], "the first of the three");
    shop.rig.pass(Span::from_secs(10));
    assert_eq!(chunks(&mut shop, 0), [0u64; 0], "nothing flows, nothing is signed");
}
