//! A FEP's keys change: nodes hear of it, from the FEP or from each other, and take its papers by the keys that are valid.

use labman_proto_core::limits::{CLOSE_AT, DESCRIPTOR_AT_MOST, DESCRIPTOR_EVERY};
use labman_proto_core::machine::StreamId;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::keys::{CertifiedKey, KeyRing};
use labman_proto_core::wire::mesh::{CapabilityRecord, FepDescriptor, RefusalCode};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{UsageReport, key_id};
use labman_proto_core::wire::portman::FromPortman;

use super::fep::FEES;
use super::jobs::{Shop, shop};
use super::lies::{SLUG, prompt};
use super::peer::{Peer, counts, frames, offer};
use super::portman::{Order, Portman, acks, delivery, model, offer_of, refusal};
use super::rig::{
    FEP, FEP_KEY, OTHER, PEER, Rig, STRANGER, gateway_config, identity, net, node, provider_config, seal,
};
use super::rings::{always, between, descriptor, revoked, ring};

const NEXT_KEY: u8 = 4;
const DESCRIPTOR: &str = "/v1/descriptor";

/// The FEP's own words, by a key of the ring.
fn said(signer: u8, serial: u64, keys: Vec<CertifiedKey>) -> Vec<u8> {
    descriptor(&identity(signer), ring(&identity(FEP), serial, keys), 0, FEES)
}

fn both_keys() -> Vec<CertifiedKey> {
    vec![always(&identity(FEP_KEY)), always(&identity(NEXT_KEY))]
}

/// The first key is revoked from now on.
fn revoking(rig: &Rig) -> Vec<CertifiedKey> {
    vec![revoked(always(&identity(FEP_KEY)), rig.now.wall.0), always(&identity(NEXT_KEY))]
}

fn by(mut order: Order, key: u8) -> Order {
    order.signer = key;
    order.auth.key_id = key_id(&node(key).0);
    order
}

fn tells(rig: &mut Rig, peer: &mut Peer, fep: u8, descriptor: Vec<u8>) {
    let message = FepDescriptor { fep_id: identity(fep).fep_id(), descriptor: Blob(descriptor) };
    peer.say(rig, peer.control, Kind::FepDescriptor, &cbor::encode(&message));
}

/// The descriptors that this peer was told.
fn told(rig: &mut Rig, peer: &Peer) -> Vec<Vec<u8>> {
    let heard = peer.hears(rig).into_iter().filter(|(kind, _)| *kind == Kind::FepDescriptor);
    heard.map(|(_, payload)| cbor::decode::<FepDescriptor>(&payload).unwrap().descriptor.0).collect()
}

fn declines(shop: &mut Shop, order: &Order) -> bool {
    let stream = order.place(&mut shop.rig, &mut shop.gateway);
    let refused = refusal(&mut shop.rig, stream);
    assert!(refused.is_none_or(|code| code == RefusalCode::BadAuthorization), "{refused:?}");
    refused.is_some()
}

#[test]
fn an_authorization_is_taken_only_by_a_key_that_is_valid_now() {
    let now = shop().rig.now.wall.0;
    let minutes = |count: u64| count * 60_000;
    let cases = [
        ("it is valid", between(&identity(NEXT_KEY), now - 1, now + 1_000), true),
        ("it has lapsed", between(&identity(NEXT_KEY), now - 1_000, now), false),
        ("it is revoked", revoked(always(&identity(NEXT_KEY)), now - 1), false),
        ("it is revoked later", revoked(always(&identity(NEXT_KEY)), now + 1_000), true),
        ("it is not valid for long", between(&identity(NEXT_KEY), now + minutes(3), u64::MAX), false),
    ];
    for (what, key, taken) in cases {
        let mut shop = shop();
        let words = said(FEP_KEY, 2, vec![always(&identity(FEP_KEY)), key]);
        tells(&mut shop.rig, &mut shop.gateway, FEP, words);
        let order = by(shop.order(1), NEXT_KEY);
        assert_eq!(declines(&mut shop, &order), !taken, "{what}");
    }
}

#[test]
fn a_key_of_a_fep_whose_clock_is_ahead_is_taken_as_far_as_clocks_may_differ() {
    let mut shop = shop();
    let now = shop.rig.now.wall.0;
    let key = between(&identity(NEXT_KEY), now + 60_000, u64::MAX);
    tells(&mut shop.rig, &mut shop.gateway, FEP, said(FEP_KEY, 2, vec![always(&identity(FEP_KEY)), key]));
    let mut order = by(shop.order(1), NEXT_KEY);
    order.auth.issued_ms = now + 60_000;
    assert!(!declines(&mut shop, &order));
}

#[test]
fn an_authorization_that_names_another_key_than_the_one_that_signed_it_is_not_taken() {
    let mut shop = shop();
    tells(&mut shop.rig, &mut shop.gateway, FEP, said(FEP_KEY, 2, both_keys()));
    let mut order = shop.order(1);
    order.signer = NEXT_KEY;
    assert!(declines(&mut shop, &order));
}

#[test]
fn the_root_itself_signs_for_no_money() {
    let mut shop = shop();
    let order = by(shop.order(1), FEP);
    assert!(declines(&mut shop, &order));
}

#[test]
fn a_key_that_is_not_known_has_the_fep_asked_for_its_ring_and_then_it_is() {
    let mut shop = shop();
    shop.rig.fep.descriptor = Some(said(FEP_KEY, 2, both_keys()));
    shop.rig.pass(DESCRIPTOR_AT_MOST);
    let asked = shop.rig.fep.called(DESCRIPTOR);
    let order = by(shop.order(1), NEXT_KEY);
    assert!(declines(&mut shop, &order));
    assert_eq!(shop.rig.fep.called(DESCRIPTOR), asked + 1);
    let order = by(shop.order(2), NEXT_KEY);
    assert!(!declines(&mut shop, &order));
}

#[test]
fn whoever_shows_nonsense_does_not_have_the_fep_asked_all_the_time() {
    let mut shop = shop();
    let asked = shop.rig.fep.called(DESCRIPTOR);
    for number in 1..=20 {
        let order = by(shop.order(number), STRANGER);
        assert!(declines(&mut shop, &order));
    }
    shop.rig.pass(DESCRIPTOR_AT_MOST);
    assert_eq!(shop.rig.fep.called(DESCRIPTOR), asked + 1);
}

#[test]
fn a_ring_is_asked_for_every_hour() {
    let mut rig = Rig::provider();
    let asked = rig.fep.called(DESCRIPTOR);
    rig.pass(DESCRIPTOR_EVERY);
    rig.pass(DESCRIPTOR_EVERY);
    assert_eq!(rig.fep.called(DESCRIPTOR), asked + 2);
}

#[test]
fn a_revocation_that_a_neighbour_tells_of_is_heeded_passed_on_and_never_forgotten() {
    let mut shop = shop();
    shop.rig.fep.silent = vec![DESCRIPTOR];
    let other = Peer::admitted(&mut shop.rig, OTHER);
    let [before] = &told(&mut shop.rig, &other)[..] else { panic!("who is new is told what is known") };
    let (before, words) = (before.clone(), said(NEXT_KEY, 2, revoking(&shop.rig)));

    tells(&mut shop.rig, &mut shop.gateway, FEP, words.clone());
    let order = shop.order(1);
    assert!(declines(&mut shop, &order), "its key is revoked");
    assert_eq!(told(&mut shop.rig, &other), std::slice::from_ref(&words));
    assert_eq!(told(&mut shop.rig, &shop.gateway), <[Vec<u8>; 0]>::default(), "who brought it knows it");

    // What was so before is no news, even if it is said with a later date.
    tells(&mut shop.rig, &mut shop.gateway, FEP, before);
    let by_thief = ring(&identity(FEP), 1, vec![always(&identity(FEP_KEY))]);
    let later = descriptor(&identity(FEP_KEY), by_thief, u64::MAX - 1, FEES);
    tells(&mut shop.rig, &mut shop.gateway, FEP, later);
    assert!(declines(&mut shop, &order));

    shop.rig.restart();
    shop.portman = Portman::attach(&mut shop.rig, vec![model("toy", 1)]);
    shop.gateway = Peer::admitted(&mut shop.rig, PEER);
    assert_eq!(told(&mut shop.rig, &shop.gateway), [words]);
    let other = Peer::admitted(&mut shop.rig, OTHER);
    shop.offer = offer_of(&mut shop.rig, &other);
    let order = shop.order(2);
    assert!(declines(&mut shop, &order));
    let order = by(shop.order(3), NEXT_KEY);
    assert!(!declines(&mut shop, &order));
}

#[test]
fn a_descriptor_is_told_on_only_once_it_is_durable() {
    let mut shop = shop();
    let other = Peer::admitted(&mut shop.rig, OTHER);
    told(&mut shop.rig, &other);
    let words = said(FEP_KEY, 2, both_keys());
    shop.rig.store_held = true;
    tells(&mut shop.rig, &mut shop.gateway, FEP, words.clone());
    assert_eq!(told(&mut shop.rig, &other), <[Vec<u8>; 0]>::default());
    shop.rig.release_store();
    assert_eq!(told(&mut shop.rig, &other), [words]);
}

#[test]
fn what_is_no_descriptor_of_a_fep_that_is_trusted_here_changes_nothing_and_is_held_against_who_tells_it() {
    let now = shop().rig.now.wall.0;
    let key = || identity(NEXT_KEY);
    let ours = |serial, keys| ring(&identity(FEP), serial, keys);
    let cases = [
        ("a ring by somebody else", {
            let forged = KeyRing { fep_id: identity(FEP).fep_id(), serial: 2, keys: both_keys() };
            let forged = object::seal(&identity(STRANGER), net().id, forged).bytes.0;
            descriptor(&key(), forged, 0, FEES)
        }),
        ("by a key that is not in its ring", descriptor(&identity(STRANGER), ours(2, both_keys()), 0, FEES)),
        ("by the root", descriptor(&identity(FEP), ours(2, both_keys()), 0, FEES)),
        ("by a key that was not valid then", {
            descriptor(&key(), ours(2, vec![between(&key(), now, now + 1)]), now + 1, FEES)
        }),
        ("by a key that is revoked", {
            descriptor(&key(), ours(2, vec![revoked(always(&key()), now)]), now, FEES)
        }),
        ("of another FEP", descriptor(&key(), ring(&identity(STRANGER), 2, both_keys()), 0, FEES)),
        ("with a key twice", descriptor(&key(), ours(2, vec![always(&key()), always(&key())]), 0, FEES)),
        ("with the root as a key", {
            descriptor(&key(), ours(2, vec![always(&key()), always(&identity(FEP))]), 0, FEES)
        }),
        ("with a key for no time", {
            descriptor(&key(), ours(2, vec![always(&key()), between(&identity(9), 7, 7)]), 0, FEES)
        }),
        ("nonsense", b"nonsense".to_vec()),
    ];
    for (what, words) in cases {
        let mut shop = shop();
        let other = Peer::admitted(&mut shop.rig, OTHER);
        told(&mut shop.rig, &other);
        for _ in 0..CLOSE_AT {
            tells(&mut shop.rig, &mut shop.gateway, FEP, words.clone());
        }
        assert!(!shop.rig.is_up(shop.gateway.link), "{what}");
        assert_eq!(told(&mut shop.rig, &other), <[Vec<u8>; 0]>::default(), "{what}");
        assert_eq!(shop.rig.admin("/status")["feps"][0]["key_ring"], 1, "{what}");
    }
}

#[test]
fn a_fep_that_is_not_trusted_here_is_not_told_on() {
    let mut shop = shop();
    let other = Peer::admitted(&mut shop.rig, OTHER);
    told(&mut shop.rig, &other);
    let key = identity(NEXT_KEY);
    let theirs = descriptor(&key, ring(&identity(STRANGER), 7, vec![always(&key)]), 0, FEES);
    for _ in 0..CLOSE_AT {
        tells(&mut shop.rig, &mut shop.gateway, STRANGER, theirs.clone());
    }
    assert!(shop.rig.is_up(shop.gateway.link), "it is trusted by others");
    assert_eq!(told(&mut shop.rig, &other), <[Vec<u8>; 0]>::default());
    assert_eq!(shop.rig.disk.rows("feps").len(), 1);
}

/// A job that was delivered and awaits its receipt.
fn delivered() -> (Shop, Order, StreamId) {
    let mut shop = shop();
    let order = shop.order(1);
    let stream = order.place(&mut shop.rig, &mut shop.gateway);
    shop.portman.text(&mut shop.rig, 1, "seven tokens", counts(10, 7));
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job: 1, counts: counts(10, 7) });
    shop.rig.hear(stream);
    (shop, order, stream)
}

#[test]
fn a_receipt_is_good_by_the_key_that_was_valid_when_it_was_issued() {
    let now = shop().rig.now.wall.0;
    let key = || identity(NEXT_KEY);
    // The receipt says to be a second younger than the authorization.
    let cases = [
        ("its key has lapsed since", between(&key(), now, now + 1_001), Some(None)),
        ("its key is revoked since", revoked(always(&key()), now + 1_001), Some(None)),
        ("its key had lapsed", between(&key(), now, now + 1_000), Some(Some(()))),
        ("its key was revoked", revoked(always(&key()), now + 1_000), Some(Some(()))),
        ("its key was not valid yet", between(&key(), now + 1_001, u64::MAX), Some(Some(()))),
        ("its key is not known, and may be yet", always(&identity(9)), None),
    ];
    for (what, certified, answer) in cases {
        let (mut shop, order, stream) = delivered();
        shop.rig.pass(Span::from_secs(2));
        let words = said(FEP_KEY, 2, vec![always(&identity(FEP_KEY)), certified]);
        tells(&mut shop.rig, &mut shop.gateway, FEP, words);
        let mut receipt = order.receipt(counts(10, 7));
        receipt.key_id = key_id(&node(NEXT_KEY).0);
        let delivery = delivery(NEXT_KEY, &receipt);
        shop.gateway.say(&mut shop.rig, stream, Kind::ReceiptDelivery, &delivery);
        let acked = acks(&frames(&shop.rig.hear(stream))).pop();
        assert_eq!(acked.map(|refused| refused.map(drop)), answer, "{what}");
        assert_eq!(shop.rig.disk.rows("receipts_open").len(), usize::from(answer == Some(None)), "{what}");
    }
}

#[test]
fn a_claim_is_decided_by_a_key_that_was_valid_then() {
    for (key, in_time, paid) in [(NEXT_KEY, true, true), (NEXT_KEY, false, false), (FEP, true, false)] {
        let (mut shop, order, stream) = delivered();
        let until = shop.rig.now.wall.0 + 100_000;
        let certified = vec![always(&identity(FEP_KEY)), between(&identity(NEXT_KEY), 0, until)];
        tells(&mut shop.rig, &mut shop.gateway, FEP, said(FEP_KEY, 2, certified));
        let receipt = delivery(FEP_KEY, &order.receipt(counts(10, 7)));
        shop.gateway.say(&mut shop.rig, stream, Kind::ReceiptDelivery, &receipt);
        shop.rig.fep.signer = Some(key);
        if !in_time {
            shop.rig.fep.decision = Some(|decision| decision.decided_ms += 100_000);
        }
        shop.rig.pass(Span::from_secs(20));
        assert_eq!(shop.rig.disk.rows("receipts_paid").len(), usize::from(paid), "{key}, {in_time}");
    }
}

#[test]
fn no_decision_is_by_a_key_that_was_known_to_be_revoked_before_the_claim_was_made_whatever_its_date() {
    for (known_before, paid) in [(false, 1), (true, 0)] {
        let (mut shop, order, stream) = delivered();
        let receipt = delivery(FEP_KEY, &order.receipt(counts(10, 7)));
        shop.rig.pass(Span::from_secs(2));
        let words = said(NEXT_KEY, 2, revoking(&shop.rig));
        if known_before {
            tells(&mut shop.rig, &mut shop.gateway, FEP, words.clone());
        }
        shop.gateway.say(&mut shop.rig, stream, Kind::ReceiptDelivery, &receipt);
        shop.rig.fep.silent = vec!["/v1/claims"];
        shop.rig.pass(Span::from_secs(20));
        assert_eq!(shop.rig.disk.rows("claims_open").len(), 1);
        if !known_before {
            tells(&mut shop.rig, &mut shop.gateway, FEP, words);
        }
        // A thief's, from before the revocation as it says.
        shop.rig.fep.silent.clear();
        shop.rig.fep.decision = Some(|decision| decision.decided_ms = 1);
        shop.rig.pass(Span::from_secs(60));
        assert_eq!(shop.rig.disk.rows("receipts_paid").len(), paid, "known before: {known_before}");
    }
}

/// A gateway whose FEP signs by a key that the gateway does not know.
fn surprised() -> (Rig, Peer) {
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    rig.pass(DESCRIPTOR_AT_MOST);
    rig.fep.signer = Some(NEXT_KEY);
    rig.fep.twist = Some(|auth| auth.key_id = key_id(&node(NEXT_KEY).0));
    (rig, peer)
}

#[test]
fn a_gateway_that_meets_a_key_asks_for_the_ring_and_goes_on_with_the_job() {
    let (mut rig, mut peer) = surprised();
    let words = said(NEXT_KEY, 2, revoking(&rig));
    rig.fep.descriptor = Some(words.clone());
    let user = rig.ask(&prompt(true));
    assert_eq!(rig.status(user), None, "{}", rig.text(user));
    let job = peer.job(&mut rig);
    assert_eq!(job.request.descriptor, Some(Blob(words)), "its provider may not have heard of the key");

    // The key that is revoked is of no use any more, whoever signs with it.
    (rig.fep.signer, rig.fep.twist) = (None, None);
    let user = rig.ask(&prompt(true));
    assert_eq!(rig.status(user), Some(503));
    assert!(rig.text(user).contains("fep_unavailable"), "{}", rig.text(user));
    let [UsageReport { attempt: None, .. }] = rig.fep.reports[..] else { panic!("{:?}", rig.fep.reports) };

    rig.pass(DESCRIPTOR_EVERY);
    rig.fep.signer = Some(NEXT_KEY);
    rig.fep.twist = Some(|auth| auth.key_id = key_id(&node(NEXT_KEY).0));
    let offer = seal(PEER, offer(&rig, SLUG));
    peer.announce(&mut rig, vec![offer]);
    rig.ask(&prompt(true));
    let late = peer.jobs(&mut rig).pop().expect("a job");
    assert_eq!(late.request.descriptor, None, "all have asked for it by now");
}

#[test]
fn a_job_whose_authorization_can_t_be_checked_ends_and_its_hold_is_given_back() {
    for silent in [true, false] {
        let (mut rig, peer) = surprised();
        if silent {
            rig.fep.silent = vec![DESCRIPTOR];
        }
        let user = rig.ask(&prompt(true));
        rig.pass(Span::from_secs(6));
        assert_eq!(rig.status(user), Some(503));
        assert!(rig.text(user).contains("asking the front-end portal"), "{}", rig.text(user));
        let [UsageReport { attempt: None, .. }] = rig.fep.reports[..] else {
            panic!("{:?}", rig.fep.reports)
        };
        assert!(peer.jobs(&mut rig).is_empty());
    }
}

#[test]
fn a_provider_takes_an_authorization_by_a_key_that_its_gateway_shows_it() {
    let mut shop = shop();
    shop.rig.fep.silent = vec![DESCRIPTOR];
    let other = Peer::admitted(&mut shop.rig, OTHER);
    told(&mut shop.rig, &other);
    let words = said(FEP_KEY, 2, both_keys());
    let mut order = by(shop.order(1), NEXT_KEY);
    order.request.descriptor = Some(Blob(words.clone()));
    assert!(!declines(&mut shop, &order));
    assert_eq!(told(&mut shop.rig, &other), [words]);

    let mut forged = by(shop.order(2), STRANGER);
    let key = identity(STRANGER);
    forged.request.descriptor =
        Some(Blob(descriptor(&key, ring(&key, 9, vec![always(&identity(NEXT_KEY))]), 0, FEES)));
    assert!(declines(&mut shop, &forged));
}

#[test]
fn until_a_fep_has_said_which_keys_are_its_own_nothing_is_offered_or_asked_for_there() {
    let unknown = |config| {
        let mut rig = Rig::unborn(config);
        rig.fep.silent = vec![DESCRIPTOR];
        rig.release_store();
        rig.fire();
        rig
    };
    let mut gateway = unknown(gateway_config());
    Peer::serving(&mut gateway, PEER, SLUG);
    let user = gateway.ask(&prompt(true));
    assert_eq!(gateway.status(user), Some(503));
    assert!(gateway.text(user).contains("asking the front-end portal"), "{}", gateway.text(user));
    assert_eq!(gateway.fep.called("/v1/authorize"), 0);
    gateway.fep.silent.clear();
    gateway.pass(Span::from_secs(60));
    let user = gateway.ask(&prompt(true));
    assert_eq!(gateway.status(user), None);

    let mut provider = unknown(provider_config());
    Portman::attach(&mut provider, vec![model("toy", 1)]);
    let mut peer = Peer::admitted(&mut provider, PEER);
    assert_eq!(offered(&mut provider, &peer).unwrap_or_default(), 0);
    // Whoever is linked to it may tell it.
    tells(&mut provider, &mut peer, FEP, said(FEP_KEY, 1, both_keys()));
    provider.pass(Span::from_secs(5));
    assert_eq!(offered(&mut provider, &peer), Some(1));
}

/// How many offers the node's last record has.
fn offered(rig: &mut Rig, peer: &Peer) -> Option<usize> {
    let heard = peer.hears(rig).into_iter().rfind(|(kind, _)| *kind == Kind::CapabilityRecord)?;
    Some(cbor::decode::<CapabilityRecord>(&heard.1).unwrap().hosted.len())
}

#[test]
fn a_portal_at_the_address_of_another_is_not_believed() {
    let mut rig = Rig::unborn(gateway_config());
    let key = identity(NEXT_KEY);
    let theirs = descriptor(&key, ring(&identity(STRANGER), 7, vec![always(&key)]), 0, FEES);
    rig.fep.descriptor = Some(theirs);
    rig.release_store();
    rig.fire();
    let named = |line: &&String| line.contains(&identity(STRANGER).fep_id().to_string());
    assert!(rig.log.iter().any(|line| named(&line) && line.contains("[[fep]]")), "{:?}", rig.log);
    assert_eq!(rig.disk.rows("feps").len(), 0);
}
