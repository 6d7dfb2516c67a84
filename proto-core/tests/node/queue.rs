//! Jobs that wait for a slot: in the order in which they came, paid for and not begun.

use labman_proto_core::limits::{FIRST_CHUNK, LOAD_EVERY};
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::wire::mesh::RefusalCode;
use labman_proto_core::wire::object::Sealed;
use labman_proto_core::wire::portal::Offer;
use labman_proto_core::wire::portman::FromPortman;

use super::loads::loads;
use super::peer::{Peer, counts};
use super::portman::{Order, Portman, declined, model, offer_of, refusal};
use super::rig::{PEER, Rig, provider_config};

/// A provider with one slot, before which two jobs may wait; the first job runs.
struct Counter {
    rig: Rig,
    gateway: Peer,
    portman: Portman,
    offer: Sealed<Offer>,
    number: u8,
}

impl Counter {
    fn open() -> Self {
        let mut config = provider_config();
        config.provider.as_mut().unwrap().portmans[0].queue = 2;
        let mut rig = Rig::new(config);
        let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
        let gateway = Peer::admitted(&mut rig, PEER);
        let offer = offer_of(&mut rig, &gateway);
        let mut counter = Self { rig, gateway, portman, offer, number: 0 };
        counter.place();
        assert_eq!(counter.started(), [1]);
        counter
    }

    fn place(&mut self) -> StreamId {
        self.number += 1;
        Order::new(&self.rig, PEER, &self.offer, self.number).place(&mut self.rig, &mut self.gateway)
    }

    fn started(&mut self) -> Vec<u64> {
        self.portman.started(&mut self.rig)
    }

    fn done(&mut self, job: u64) {
        self.portman.text(&mut self.rig, job, "x", counts(3, 1));
        self.portman.say(&mut self.rig, &FromPortman::Done { job, counts: counts(3, 1) });
    }
}

#[test]
fn who_comes_first_is_served_first_and_one_more_than_may_wait_is_refused() {
    let mut counter = Counter::open();
    let [second, third, fourth] = [(); 3].map(|()| counter.place());
    assert_eq!(refusal(&mut counter.rig, fourth), Some(RefusalCode::Busy));
    assert!(counter.started().is_empty());
    counter.done(1);
    assert_eq!(counter.started(), [2]);
    counter.done(2);
    assert_eq!(counter.started(), [3]);
    assert!([second, third].iter().all(|stream| counter.rig.reset_of(*stream).is_none()));
    // There is room again.
    counter.place();
    counter.place();
    counter.done(3);
    assert_eq!(counter.started(), [4]);
}

#[test]
fn who_goes_or_waits_in_vain_is_owed_nothing_and_the_next_moves_up() {
    let leave: [fn(&mut Counter, StreamId); 3] = [
        |counter, stream| counter.rig.finish(stream),
        |counter, stream| counter.rig.reset(stream, ResetCode::Cancelled),
        |counter, _| counter.rig.pass(FIRST_CHUNK),
    ];
    for (at, leave) in leave.into_iter().enumerate() {
        let mut counter = Counter::open();
        let waits = counter.place();
        leave(&mut counter, waits);
        match at {
            0 => assert_eq!(declined(&mut counter.rig, waits), Some((RefusalCode::Cancelled, true))),
            1 => {}
            _ => assert_eq!(declined(&mut counter.rig, waits), Some((RefusalCode::Busy, true))),
        }
        let open = counter.rig.disk.rows("authorizations").into_iter();
        assert_eq!(open.filter(|(_, row)| row["receipt"] != "nothing").count(), 1, "{at}: the first runs");
        counter.place();
        counter.done(1);
        assert_eq!(counter.started(), [2], "{at}: of the one that waits");
    }
}

#[test]
fn a_model_that_is_lost_serves_nobody_who_waits() {
    let mut counter = Counter::open();
    let waits = counter.place();
    counter.portman.say(&mut counter.rig, &FromPortman::Hello { models: Vec::new(), shelf: Vec::new() });
    assert_eq!(declined(&mut counter.rig, waits), Some((RefusalCode::ModelNotAvailable, true)));
}

#[test]
fn a_model_that_has_more_slots_than_before_serves_who_waits_at_once() {
    let mut counter = Counter::open();
    counter.place();
    counter.place();
    counter
        .portman
        .say(&mut counter.rig, &FromPortman::Hello { models: vec![model("toy", 3)], shelf: Vec::new() });
    assert_eq!(counter.started(), [2, 3]);
}

#[test]
fn who_waits_counts_as_load() {
    let mut counter = Counter::open();
    counter.place();
    counter.place();
    counter.rig.pass(LOAD_EVERY);
    assert_eq!(loads(&mut counter.rig, &counter.gateway).last(), Some(&vec![3]));
}
