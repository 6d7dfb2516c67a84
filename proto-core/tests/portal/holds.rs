//! Money set aside: once, for one job, for a time.

use labman_proto_core::economics::Counts;
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::portal::{JobAuthorization, Receipt, UsageReport};

use super::rig::*;

#[test]
fn the_dearest_offer_decides_what_is_held() {
    let (mut rig, key) = Rig::with_user("1");
    let mut dear = offer();
    dear.price.per_request = Micros(100);
    let offers = vec![seal(PROVIDER, offer()), seal(OTHER_PROVIDER, dear)];
    let authorization = rig.authorized(&Job { offers, ..job(1, &key) });
    assert_eq!(authorization.attempts.iter().map(|a| a.max_charge.0).collect::<Vec<_>>(), [735, 840]);
    assert_eq!(authorization.hold, Micros(840));
    assert_eq!(authorization.attempts[1].provider, node(OTHER_PROVIDER));

    // The second attempt delivered: its provider is paid at its own price.
    let receipt: Receipt = rig.usage(report(authorization.auth_id, Some(1), counts(1, 0))).object();
    assert_eq!((receipt.provider_node_id, receipt.payout), (node(OTHER_PROVIDER), Micros(102)));
}

#[test]
fn two_jobs_at_once_cannot_spend_the_same_money() {
    let (mut rig, key) = Rig::with_user("0.001");
    let bodies = [1, 2].map(|number| rig.authorize_body(&job(number, &key)));
    let [first, second] = bodies.map(|body| rig.begin_post("/v1/authorize", &body));
    rig.run();
    assert_eq!(rig.reply(first).unwrap().status, 200);
    assert_eq!(rig.reply(second).unwrap().refusal(), (402, "insufficient_quota".into()));
    assert_eq!(rig.balance("user:u000001"), 265);
}

#[test]
fn asking_twice_at_once_holds_once_and_both_hear_the_same() {
    let (mut rig, key) = Rig::with_user("1");
    let body = rig.authorize_body(&job(1, &key));
    let streams = [(); 2].map(|()| rig.begin_post("/v1/authorize", &body));
    rig.run();
    let [first, second] = streams.map(|stream| rig.reply(stream).unwrap());
    assert_eq!(first, second);
    assert_eq!(rig.balance("held:u000001"), 735);

    let auth_id = first.object::<JobAuthorization>().auth_id;
    let body = seal(GATEWAY, report(auth_id, Some(0), counts(1, 1)));
    let streams = [(); 2].map(|()| rig.begin_post("/v1/usage", &body));
    rig.run();
    let [first, second] = streams.map(|stream| rig.reply(stream).unwrap());
    assert_eq!(first, second);
    assert_eq!(first.object::<Receipt>().sequence, 1);
}

#[test]
fn asking_again_later_gives_the_same_bytes() {
    let (mut rig, key) = Rig::with_user("1");
    let first = rig.authorize(&job(1, &key));
    rig.pass(Span::from_secs(30));
    assert_eq!(rig.authorize(&job(1, &key)), first);
    rig.crash();
    assert_eq!(rig.authorize(&job(1, &key)), first);

    let another = Job { max_output: 99, ..job(1, &key) };
    assert_eq!(rig.authorize(&another).refusal(), (409, "conflict".into()));

    let auth_id = first.object::<JobAuthorization>().auth_id;
    let receipt = rig.usage(report(auth_id, Some(0), counts(3, 4)));
    assert_eq!(receipt.status, 200);
    assert_eq!(rig.usage(report(auth_id, Some(0), counts(50, 60))), receipt);
    rig.crash();
    assert_eq!(rig.usage(report(auth_id, Some(0), counts(3, 4))), receipt);
    assert_eq!(rig.usage(report(auth_id, None, counts(0, 0))).refusal(), (409, "conflict".into()));
}

#[test]
fn a_request_id_is_spent_for_ever_and_its_neighbours_do_not_suffer() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    rig.settled(auth_id, counts(1, 1));
    rig.crash();
    let before = rig.balance("user:u000001");

    // The old one and two new ones reach the store together.
    let busy = rig.authorize_body(&job(2, &key));
    rig.begin_post("/v1/authorize", &busy);
    let bodies = [3, 1, 4].map(|number| rig.authorize_body(&job(number, &key)));
    let [new, old, newer] = bodies.map(|body| rig.begin_post("/v1/authorize", &body));
    rig.run();
    assert_eq!(rig.reply(old).unwrap().refusal(), (409, "conflict".into()));
    assert_eq!(rig.reply(new).unwrap().status, 200);
    assert_eq!(rig.reply(newer).unwrap().status, 200);
    assert_eq!(rig.balance("user:u000001"), before - 3 * 735);
    rig.crash();
    assert_eq!(rig.balance("user:u000001"), before - 3 * 735);
    assert!(!rig.stopped());
}

#[test]
fn nothing_delivered_costs_nothing() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    let nothing = report(auth_id, None, counts(0, 0));
    assert_eq!(rig.usage(nothing.clone()).status, 204);
    assert_eq!(rig.balance("user:u000001"), 1_000_000);
    rig.crash();
    assert_eq!(rig.usage(nothing).status, 204);
    assert_eq!(
        rig.usage(report(auth_id, Some(0), counts(1, 1))).status,
        204,
        "what it says later is too late"
    );
    assert_eq!(rig.authorize(&job(1, &key)).refusal(), (409, "conflict".into()));
    assert_eq!(rig.balance("user:u000001"), 1_000_000);
}

#[test]
fn neither_side_can_settle_more_than_the_other_says_or_the_job_allows() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    let accepted = Counts { input: 90, cached: 20, output: 4_000 };
    let stated = Counts { input: 80, cached: 60, output: 3_000 };
    let receipt: Receipt = rig.usage(UsageReport { accepted, ..report(auth_id, Some(0), stated) }).object();
    // Of the input a gateway knows no more than a bound.
    assert_eq!(receipt.settled, Counts { input: 80, cached: 60, output: 100 });
    assert_eq!((receipt.accepted, receipt.stated), (accepted, stated));
    assert_eq!(receipt.payout, Micros(20 * 2 + 60 + 100 * 5));
}

#[test]
fn a_hold_that_nobody_reports_returns_to_its_user() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&Job { ttl_s: 60, ..job(1, &key) }).auth_id;
    rig.pass(Span::from_secs(119));
    assert_eq!(rig.balance("held:u000001"), 735);
    rig.pass(Span::from_secs(1));
    assert_eq!(rig.balance("held:u000001"), 0);
    assert_eq!(rig.balance("user:u000001"), 1_000_000);
    assert_eq!(rig.usage(report(auth_id, Some(0), counts(1, 1))).refusal(), (409, "conflict".into()));
    rig.crash();
    assert_eq!(rig.balance("user:u000001"), 1_000_000);
}

#[test]
fn a_portal_that_restarts_all_the_time_still_expires_what_is_due() {
    let (mut rig, key) = Rig::with_user("1");
    rig.authorized(&Job { ttl_s: 60, ..job(1, &key) });
    for _ in 0..4 {
        rig.pass(Span::from_secs(40));
        rig.crash();
    }
    // Of each life, what was written down by its end counts.
    assert_eq!(rig.balance("held:u000001"), 0);
}

#[test]
fn an_outage_of_the_portal_expires_nothing() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&Job { ttl_s: 60, ..job(1, &key) }).auth_id;
    rig.pass(Span::from_secs(100));
    rig.now.mono = rig.now.mono + Span::from_secs(100_000);
    rig.crash();
    rig.pass(Span::from_secs(10));
    assert_eq!(rig.settled(auth_id, counts(1, 1)).charge, Micros(8));
}

#[test]
fn a_job_for_nothing_needs_no_balance_and_is_still_receipted() {
    let (mut rig, _) = Rig::with_user("1");
    let user = rig.admin("POST", "/users", serde_json::json!({ "name": "bob" })).json()["user"].clone();
    let key = rig.admin("POST", "/keys", serde_json::json!({ "user": user })).json()["api_key"].clone();
    let free = labman_proto_core::wire::portal::Offer { price: Default::default(), ..offer() };
    let job = Job { offers: vec![seal(PROVIDER, free)], ..job(1, key.as_str().unwrap()) };
    let auth_id = rig.authorized(&job).auth_id;
    let receipt = rig.settled(auth_id, counts(5, 5));
    assert_eq!((receipt.charge, receipt.payout), (Micros(0), Micros(0)));
    let decision = rig.decided(PROVIDER, claim(1, 0, vec![receipt.receipt_id]));
    assert_eq!(decision.payout.unwrap().amount, Micros(0));
}
