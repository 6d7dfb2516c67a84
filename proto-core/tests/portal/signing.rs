//! A portal signs by the key that its root has certified for now: it goes over to the next by itself, and with none it signs
//! nothing.

use labman_proto_core::http::Surface;
use labman_proto_core::keys::Described;
use labman_proto_core::money::Micros;
use labman_proto_core::portal::config::Rails;
use labman_proto_core::time::Span;
use labman_proto_core::wire::keys::CertifiedKey;
use labman_proto_core::wire::portal::{ClaimDecision, JobAuthorization, Receipt, key_id};
use serde_json::{Value, json};

use super::audit::judged;
use super::rig::*;
use super::rings::{always, between, revoked, ring};

/// When a rig begins, in Unix milliseconds.
const BEGIN: u64 = 1_700_000_000_000;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

fn first(until_ms: u64) -> CertifiedKey {
    between(&identity(PORTAL_KEY), BEGIN - HOUR, until_ms)
}

fn next(from_ms: u64) -> CertifiedKey {
    between(&identity(NEXT_KEY), from_ms, BEGIN + 90 * DAY)
}

fn signed_ring(serial: u64, keys: Vec<CertifiedKey>) -> Value {
    json!({ "ring": hex::encode(ring(&identity(PORTAL), serial, keys)) })
}

fn founded(keys: Vec<CertifiedKey>) -> (Rig, String) {
    Rig::founded(Rails::default(), ring(&identity(PORTAL), 1, keys)).and_user("1")
}

fn described(rig: &mut Rig) -> Described {
    let descriptor = rig.call(Surface::Public, "GET", "/v1/descriptor", b"");
    assert_eq!(descriptor.status, 200);
    Described::open(net(), identity(PORTAL).fep_id(), &descriptor.body).expect("a descriptor")
}

fn logged(rig: &Rig, words: &str) -> usize {
    rig.log.iter().filter(|line| line.contains(words)).count()
}

#[test]
fn the_next_key_takes_over_at_its_time_and_what_was_signed_before_stays_good() {
    let (mut rig, key) = founded(vec![first(BEGIN + 2 * HOUR), next(BEGIN + HOUR)]);
    let before = rig.authorize(&job(1, &key)).object_by::<JobAuthorization>(PORTAL_KEY);
    assert_eq!(before.key_id, key_id(&node(PORTAL_KEY).0));
    rig.pass(Span::from_millis(HOUR - 1));
    rig.authorize(&job(2, &key)).object_by::<JobAuthorization>(PORTAL_KEY);
    rig.pass(Span::from_millis(1));
    let after = rig.authorize(&job(3, &key)).object_by::<JobAuthorization>(NEXT_KEY);
    assert_eq!(after.key_id, key_id(&node(NEXT_KEY).0));
    // Asking again gives the same bytes, by whichever key.
    rig.authorize(&job(2, &key)).object_by::<JobAuthorization>(PORTAL_KEY);

    let receipt: Receipt = rig.usage(report(after.auth_id, Some(0), counts(10, 7))).object_by(NEXT_KEY);
    assert_eq!(receipt.key_id, after.key_id);
    let paid = rig.claim(PROVIDER, claim(1, 55, vec![receipt.receipt_id]));
    assert_eq!(paid.object_by::<ClaimDecision>(NEXT_KEY).payout.unwrap().amount, Micros(55));
    rig.crash();
    rig.authorize(&job(2, &key)).object_by::<JobAuthorization>(PORTAL_KEY);
    assert!(judged(&rig).holds(), "{:#?}", judged(&rig).findings);
}

#[test]
fn with_no_valid_key_nothing_is_signed_and_with_the_next_all_goes_on() {
    let (mut rig, key) = founded(vec![first(BEGIN + HOUR)]);
    rig.pass(Span::from_millis(HOUR - 10_000));
    let authorization: JobAuthorization = rig.authorize(&job(1, &key)).object();
    let lapses: JobAuthorization = rig.authorize(&Job { ttl_s: 1, ..job(2, &key) }).object();
    let owed = rig.authorized(&job(3, &key)).auth_id;
    let owed = rig.settled(owed, counts(1, 1));
    rig.pass(Span::from_secs(3 * 3600));

    let refused = rig.authorize(&job(4, &key));
    assert_eq!(refused.refusal(), (503, "unavailable".into()));
    assert!(refused.json()["error"]["message"].to_string().contains("must certify one"));
    assert_eq!(rig.usage(report(authorization.auth_id, Some(0), counts(10, 7))).status, 503);
    assert_eq!(rig.claim(PROVIDER, claim(1, owed.payout.0, vec![owed.receipt_id])).status, 503);
    assert_eq!(logged(&rig, "no key that this portal holds is valid now"), 1, "{:?}", rig.log);
    assert!(rig.balance("held:u000001") > 0, "what lapses meanwhile waits");
    assert!(!rig.stopped());
    rig.crash();
    rig.pass(Span::from_secs(3600));
    assert!(rig.balance("held:u000001") > 0);

    let now = rig.now.wall.0;
    let taken = rig.admin("POST", "/ring", signed_ring(2, vec![first(BEGIN + HOUR), next(now)]));
    assert_eq!(taken.json()["keys"][1]["signs"], true);
    rig.pass(Span::from_secs(1));
    assert_eq!(rig.balance("held:u000001"), 0, "{authorization:?} {lapses:?}");
    let decision = rig.claim(PROVIDER, claim(1, owed.payout.0, vec![owed.receipt_id]));
    assert!(decision.object_by::<ClaimDecision>(NEXT_KEY).payout.is_some());
    assert!(judged(&rig).holds(), "{:#?}", judged(&rig).findings);
}

#[test]
fn what_a_rail_says_while_no_key_is_valid_is_heard_again_later_and_paid_once() {
    let (mut rig, key) = founded(vec![first(BEGIN + HOUR), next(BEGIN + 2 * HOUR)]);
    let owed = rig.authorized(&job(1, &key)).auth_id;
    let owed = rig.settled(owed, counts(1, 1));
    rig.pass(Span::from_millis(HOUR - 1));
    let body = seal(PROVIDER, claim(1, owed.payout.0, vec![owed.receipt_id]));
    let claiming = rig.begin_post("/v1/claims", &body);
    // The rail is asked, and does not answer before the key has lapsed.
    while logged(&rig, "is sent over") == 0 {
        assert!(rig.step());
    }
    rig.doze(Span::from_millis(1));
    rig.run();
    assert_eq!(rig.reply(claiming).expect("an answer").status, 503);
    assert_eq!(rig.balance(&format!("provider:{}", node(PROVIDER))), owed.payout.0);
    rig.pass(Span::from_millis(2 * HOUR));
    let decision: ClaimDecision = rig.post("/v1/claims", &body).object_by(NEXT_KEY);
    assert_eq!(decision.payout.unwrap().amount, owed.payout);
    assert_eq!(rig.disk.rows("rail").len(), 1);
    assert!(judged(&rig).holds(), "{:#?}", judged(&rig).findings);
}

#[test]
fn a_ring_is_in_force_once_it_is_durable_and_stays_across_crashes() {
    let (mut rig, key) = founded(vec![first(BEGIN + 90 * DAY)]);
    let ring = signed_ring(2, vec![revoked(first(BEGIN + 90 * DAY), BEGIN), next(BEGIN)]);
    let taking = rig.begin(Surface::Admin, "POST", "/ring", ring.to_string().as_bytes());
    assert!(rig.step(), "the row in force is read");
    assert_eq!(described(&mut rig).keys.serial(), 1, "it is being written");
    assert_eq!(described(&mut rig).keys.serial(), 2);
    assert_eq!(rig.reply(taking).unwrap().json()["serial"], 2);
    rig.authorize(&job(1, &key)).object_by::<JobAuthorization>(NEXT_KEY);
    rig.crash();
    assert_eq!(described(&mut rig).keys.serial(), 2, "the founding ring is older");
    rig.authorize(&job(2, &key)).object_by::<JobAuthorization>(NEXT_KEY);
    assert_eq!(rig.disk.rows("ring").len(), 1);
    assert!(judged(&rig).holds());

    let (mut rig, _) = founded(vec![first(BEGIN + 90 * DAY)]);
    rig.begin(Surface::Admin, "POST", "/ring", ring.to_string().as_bytes());
    rig.step();
    rig.crash();
    assert_eq!(described(&mut rig).keys.serial(), 1, "nobody has heard of the other");
}

#[test]
fn a_ring_that_its_root_did_not_make_from_the_one_in_force_is_refused_with_the_reason() {
    let keys = || vec![revoked(first(BEGIN + 90 * DAY), BEGIN + DAY), next(BEGIN)];
    let (mut rig, _) = founded(keys());
    assert_eq!(rig.admin("POST", "/ring", signed_ring(2, keys())).status, 200);
    let by_another = json!({ "ring": hex::encode(ring(&identity(STRANGER), 3, keys())) });
    let unrevoked = vec![first(BEGIN + 90 * DAY), next(BEGIN)];
    let later = vec![revoked(first(BEGIN + 90 * DAY), BEGIN + 2 * DAY), next(BEGIN)];
    let longer = vec![revoked(first(BEGIN + 91 * DAY), BEGIN + DAY), next(BEGIN)];
    let cases = [
        ("no hex", json!({ "ring": "x" }), 400, "ring:"),
        ("no ring", json!({ "ring": "00" }), 400, "length"),
        ("another's", by_another, 400, "not from the party"),
        ("older", signed_ring(1, keys()), 409, "not above"),
        ("another of the same serial", signed_ring(2, vec![next(BEGIN)]), 409, "not above"),
        ("without a key", signed_ring(3, vec![next(BEGIN)]), 409, "lacks key"),
        ("with a key for longer", signed_ring(3, longer), 409, "for another time"),
        ("with a key unrevoked", signed_ring(3, unrevoked), 409, "is revoked"),
        ("with a key revoked from later on", signed_ring(3, later), 409, "is revoked"),
    ];
    for (what, body, status, words) in cases {
        let reply = rig.admin("POST", "/ring", body);
        assert_eq!(reply.status, status, "{what}");
        assert!(reply.json()["error"]["message"].to_string().contains(words), "{what}: {}", reply.json());
    }
    // The same once more is no error.
    assert_eq!(rig.admin("POST", "/ring", signed_ring(2, keys())).json()["serial"], 2);
    assert_eq!(rig.admin("GET", "/ring", Value::Null).json()["serial"], 2);
    let earlier = vec![revoked(first(BEGIN + 90 * DAY), BEGIN), next(BEGIN)];
    assert_eq!(rig.admin("POST", "/ring", signed_ring(3, earlier)).status, 200);
}

#[test]
fn a_store_of_another_portal_is_not_gone_on_with() {
    let (mut rig, _) = founded(vec![first(BEGIN + DAY)]);
    rig.founding = ring(&identity(STRANGER), 9, vec![always(&identity(PORTAL_KEY))]);
    let bad = rig.restart_in("XTS").expect("a refusal");
    assert_eq!(bad.table, "ring");
}

#[test]
fn the_operator_is_warned_of_a_key_that_ends_soon_and_of_one_that_is_not_held() {
    let (mut rig, _) = founded(vec![first(BEGIN + 8 * DAY)]);
    assert_eq!(logged(&rig, "none that follows it"), 0, "{:?}", rig.log);
    rig.pass(Span::from_millis(3 * DAY));
    assert_eq!(logged(&rig, "none that follows it"), 3, "once a day: {:?}", rig.log);
    let lacking = between(&identity(STRANGER), BEGIN + 7 * DAY, BEGIN + 90 * DAY);
    rig.admin("POST", "/ring", signed_ring(2, vec![first(BEGIN + 8 * DAY), lacking.clone()]));
    assert_eq!(logged(&rig, "not held here"), 1, "{:?}", rig.log);
    assert_eq!(logged(&rig, "none that follows it"), 4, "one that is not held follows nothing");
    let keys = vec![first(BEGIN + 8 * DAY), revoked(lacking, BEGIN), next(BEGIN + 7 * DAY)];
    let shown = rig.admin("POST", "/ring", signed_ring(3, keys)).json();
    assert_eq!((&shown["keys"][0]["held"], &shown["keys"][1]["held"]), (&json!(true), &json!(false)));
    rig.pass(Span::from_millis(DAY));
    assert_eq!(
        (logged(&rig, "not held here"), logged(&rig, "none that follows it")),
        (1, 4),
        "{:?}",
        rig.log
    );
}

#[test]
fn the_descriptor_is_the_same_bytes_until_something_in_it_changes() {
    let (mut rig, _) = founded(vec![first(BEGIN + 90 * DAY), next(BEGIN + HOUR)]);
    let before = described(&mut rig);
    rig.pass(Span::from_millis(2 * HOUR));
    let again = described(&mut rig);
    assert_eq!(before.bytes, again.bytes, "the key that signs now is another");
    let keys = vec![first(BEGIN + 90 * DAY), next(BEGIN + HOUR), between(&identity(9), 1, 2)];
    rig.admin("POST", "/ring", signed_ring(2, keys));
    let after = described(&mut rig);
    assert!(after.is_newer_than(&before) && !before.is_newer_than(&after));
    assert_eq!(after.keys.serial(), 2);
}

#[test]
fn a_descriptor_with_other_quotes_is_news_to_whoever_has_the_one_before() {
    let mut rig = Rig::with_user("1").0;
    let mut before = described(&mut rig);
    let changes: [fn(&mut Rig); 3] = [
        |rig| rig.quote("EUR", "0.92"),
        |rig| rig.quote("EUR", "0.93"),
        |rig| rig.pass(Span::from_secs(3_600)),
    ];
    for change in changes {
        // No time passes between the first two.
        change(&mut rig);
        let after = described(&mut rig);
        assert!(after.is_newer_than(&before));
        assert_eq!(described(&mut rig).bytes, after.bytes, "nothing has changed since");
        before = after;
    }
}
