//! The words of a gateway and its providers: what they settle, and what a gateway's bond answers for.

use labman_proto_core::limits::HOLD_GRACE;
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::portal::{End, Receipt, UsageReport};

use super::rig::*;

/// A job that two providers are named for: each attempt at most 735 micros.
fn for_two(number: u8, key: &str) -> Job {
    Job { offers: vec![seal(PROVIDER, offer()), seal(OTHER_PROVIDER, offer())], ..job(number, key) }
}

#[test]
fn an_authorization_names_as_many_attempts_as_the_bond_answers_for() {
    let (mut rig, key) = Rig::with_user("1");
    assert_eq!(rig.authorized(&for_two(1, &key)).attempts.len(), 2);
    assert_eq!(rig.bonded(), (1_000_000, 735));
    // All but one micro of what a second job would need is taken away.
    assert_eq!(rig.bond("-0.998531", "out").status, 200);
    assert_eq!(rig.authorized(&for_two(2, &key)).attempts.len(), 1);
    assert_eq!(rig.bond("0.000001", "in").status, 200);
    assert_eq!(rig.authorized(&for_two(3, &key)).attempts.len(), 2);
    assert_eq!(rig.bond("-0.000001", "out again").refusal(), (409, "conflict".into()));
    // Once the answer has come the other attempt is the bond's to answer for, until the authorization's life is over.
    let auth_id = rig.authorized(&for_two(4, &key)).auth_id;
    rig.settled(auth_id, counts(1, 1));
    assert_eq!(rig.bonded(), (1_470, 1_470));
    rig.pass(Span::from_secs(720) + HOLD_GRACE);
    assert_eq!(rig.bonded(), (1_470, 0));
}

#[test]
fn a_report_without_a_statement_settles_when_the_provider_speaks() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    assert_eq!(rig.usage(bare_report(auth_id, Some(0), counts(10, 7))).status, 202);
    assert_eq!(rig.usage(bare_report(auth_id, Some(0), counts(10, 1))).status, 202, "its first word counts");
    rig.crash();
    assert_eq!(rig.balance("held:u000001"), 735);
    let said = statement(auth_id, 0, counts(10, 9), End::Cancelled, Some(5));
    let receipt: Receipt = rig.states(PROVIDER, said.clone()).object();
    assert_eq!(
        (receipt.settled, receipt.accepted, receipt.stated),
        (counts(10, 7), counts(10, 7), counts(10, 9))
    );
    // Both can have it again.
    assert_eq!(rig.states(PROVIDER, said).object::<Receipt>(), receipt);
    rig.crash();
    assert_eq!(rig.usage(bare_report(auth_id, Some(0), counts(10, 7))).object::<Receipt>(), receipt);
    assert_eq!(rig.balance("held:u000001"), 0);
}

#[test]
fn a_report_that_no_provider_ever_answers_settles_when_the_hold_lapses() {
    for (streamed, charge) in [(true, 58), (false, 0)] {
        let (mut rig, key) = Rig::with_user("1");
        let auth_id = rig.authorized(&Job { streamed, ..job(1, &key) }).auth_id;
        assert_eq!(rig.usage(bare_report(auth_id, Some(0), counts(10, 7))).status, 202);
        rig.pass(Span::from_secs(720) + HOLD_GRACE);
        assert_eq!(rig.balance("user:u000001"), 1_000_000 - charge);
        assert_eq!(rig.balance("held:u000001"), 0);
    }
}

#[test]
fn a_gateway_that_dies_costs_its_provider_what_it_had_not_acknowledged() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    let said = statement(auth_id, 0, counts(10, 9), End::Cancelled, Some(5));
    let receipt: Receipt = rig.states(PROVIDER, said).object();
    assert_eq!((receipt.settled, receipt.payout), (counts(10, 5), Micros(45)));
    assert_eq!(rig.usage(report(auth_id, Some(0), counts(10, 9))).object::<Receipt>(), receipt);
}

#[test]
fn without_an_acknowledgement_nothing_is_owed_and_the_provider_asks_again() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    let said = statement(auth_id, 0, counts(10, 9), End::Cancelled, None);
    assert_eq!(rig.states(PROVIDER, said.clone()).refusal().0, 503);
    rig.settled(auth_id, counts(10, 9));
    assert_eq!(rig.states(PROVIDER, said).object::<Receipt>().settled, counts(10, 9));
}

#[test]
fn a_gateway_can_t_take_back_what_it_has_acknowledged() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    let said = statement(auth_id, 0, counts(10, 9), End::Complete, Some(8));
    let said = labman_proto_core::wire::cbor::Blob(seal(PROVIDER, said));
    let report = UsageReport { statement: Some(said), ..bare_report(auth_id, Some(0), counts(0, 0)) };
    assert_eq!(rig.usage(report).object::<Receipt>().settled, counts(10, 8));
}

#[test]
fn an_attempt_that_was_declared_void_and_is_proven_is_paid_from_the_bond() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&for_two(1, &key)).auth_id;
    let user = rig.balance("user:u000001");
    let receipt = rig.settled(auth_id, counts(10, 7));
    assert_eq!(rig.balance("user:u000001"), user + 735 - receipt.charge.0);
    // The other one was acknowledged, too.
    let said = statement(auth_id, 1, counts(10, 9), End::Cancelled, Some(4));
    let other: Receipt = rig.states(OTHER_PROVIDER, said.clone()).object();
    assert_eq!((other.settled, other.attempt), (counts(10, 4), 1));
    assert_eq!(rig.balance("user:u000001"), user + 735 - receipt.charge.0, "its user has paid");
    assert_eq!(rig.bonded(), (1_000_000 - other.charge.0, 0));
    rig.crash();
    assert_eq!(rig.states(OTHER_PROVIDER, said).object::<Receipt>(), other);
    assert_eq!(rig.bonded(), (1_000_000 - other.charge.0, 0));
}

#[test]
fn a_hold_goes_back_at_once_where_providers_have_released_it_or_the_bond_answers() {
    let (mut rig, key) = Rig::with_user("1");
    // By both providers' words the bond is free again.
    let auth_id = rig.authorized(&for_two(1, &key)).auth_id;
    let releases = vec![release(auth_id, 0), release(auth_id, 1)];
    let nothing = UsageReport { releases, ..bare_report(auth_id, None, counts(0, 0)) };
    assert_eq!(rig.usage(nothing).status, 204);
    assert_eq!((rig.balance("user:u000001"), rig.bonded()), (1_000_000, (1_000_000, 0)));
    // By the gateway's alone it is not.
    let auth_id = rig.authorized(&for_two(2, &key)).auth_id;
    assert_eq!(rig.usage(bare_report(auth_id, None, counts(0, 0))).status, 204);
    assert_eq!((rig.balance("user:u000001"), rig.bonded()), (1_000_000, (1_000_000, 1_470)));
    let said = statement(auth_id, 0, counts(10, 9), End::Cancelled, Some(9));
    let receipt: Receipt = rig.states(PROVIDER, said).object();
    assert_eq!((rig.balance("user:u000001"), rig.bonded()), (1_000_000, (1_000_000 - receipt.charge.0, 735)));
}

#[test]
fn an_answer_that_nobody_saw_frees_its_hold_once_its_provider_says_that_it_broke() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&Job { streamed: false, ..for_two(1, &key) }).auth_id;
    assert_eq!(rig.usage(bare_report(auth_id, Some(0), counts(10, 7))).status, 202);
    let said = statement(auth_id, 0, counts(10, 0), End::Forgotten, None);
    assert_eq!(rig.states(PROVIDER, said).status, 204);
    assert_eq!((rig.balance("user:u000001"), rig.bonded()), (1_000_000, (1_000_000, 735)));
}

#[test]
fn without_a_bond_a_hold_waits_for_its_provider_s_word_or_its_end() {
    let (mut rig, key) = Rig::with_user("1");
    assert_eq!(rig.bond("-1", "all of it").status, 200);
    let nothing = |auth_id| bare_report(auth_id, None, counts(0, 0));
    let silent = rig.authorized(&job(1, &key)).auth_id;
    assert_eq!(rig.usage(nothing(silent)).status, 202);
    let working = rig.authorized(&job(2, &key)).auth_id;
    assert_eq!(rig.usage(nothing(working)).status, 202);
    let refusing = rig.authorized(&job(3, &key)).auth_id;
    assert_eq!(rig.usage(nothing(refusing)).status, 202);
    assert_eq!(rig.balance("held:u000001"), 3 * 735);
    // One was acknowledged all the same, and one says that it has nothing to ask for.
    let said = statement(working, 0, counts(10, 9), End::Cancelled, Some(9));
    let receipt: Receipt = rig.states(PROVIDER, said).object();
    let said = statement(refusing, 0, counts(10, 0), End::Broken, None);
    assert_eq!(rig.states(PROVIDER, said).status, 204);
    assert_eq!(rig.balance("held:u000001"), 735);
    rig.pass(Span::from_secs(720) + HOLD_GRACE);
    assert_eq!(rig.balance("user:u000001"), 1_000_000 - receipt.charge.0);
}

#[test]
fn once_a_job_is_paid_another_provider_s_word_that_nothing_was_acknowledged_frees_the_bond() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&for_two(1, &key)).auth_id;
    rig.settled(auth_id, counts(10, 7));
    assert_eq!(rig.bonded(), (1_000_000, 735));
    let said = statement(auth_id, 1, counts(10, 8), End::Complete, None);
    assert_eq!(rig.states(OTHER_PROVIDER, said).status, 204);
    assert_eq!(rig.bonded(), (1_000_000, 0));
}

#[test]
fn a_provider_that_forgot_and_a_gateway_that_took_nothing_free_the_hold() {
    let (mut rig, key) = Rig::with_user("1");
    assert_eq!(rig.bond("-1", "all of it").status, 200);
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    let said = statement(auth_id, 0, counts(0, 0), End::Forgotten, None);
    assert_eq!(rig.states(PROVIDER, said.clone()).refusal().0, 503, "the gateway may know more");
    assert_eq!(rig.usage(bare_report(auth_id, None, counts(0, 0))).status, 202);
    assert_eq!(rig.balance("held:u000001"), 735);
    assert_eq!(rig.states(PROVIDER, said.clone()).status, 204);
    assert_eq!((rig.balance("held:u000001"), rig.balance("user:u000001")), (0, 1_000_000));
    assert_eq!(rig.states(PROVIDER, said).status, 204);
}

#[test]
fn only_the_named_provider_states_and_releases() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&for_two(1, &key)).auth_id;
    let said = statement(auth_id, 0, counts(10, 9), End::Complete, Some(9));
    assert_eq!(rig.states(OTHER_PROVIDER, said.clone()).refusal(), (403, "not_paired".into()));
    assert_eq!(rig.states(GATEWAY, said.clone()).refusal(), (403, "not_paired".into()));
    let of_another = statement(auth_id, 2, counts(10, 9), End::Complete, Some(9));
    assert_eq!(rig.states(PROVIDER, of_another).refusal(), (400, "bad_request".into()));
    // An acknowledgement by anybody but the gateway is none.
    let mut forged = said;
    forged.ack = release(auth_id, 0).into();
    assert_eq!(rig.states(PROVIDER, forged).refusal().0, 400);
    let other = release(auth_id, 1);
    let releases = vec![labman_proto_core::wire::cbor::Blob(seal(
        PROVIDER,
        labman_proto_core::wire::portal::AttemptRelease { auth_id, attempt: 1 },
    ))];
    let report = UsageReport { releases, ..bare_report(auth_id, None, counts(0, 0)) };
    assert_eq!(rig.usage(report).refusal().0, 400);
    let report = UsageReport { releases: vec![other], ..bare_report(auth_id, None, counts(0, 0)) };
    assert_eq!(rig.usage(report).status, 204);
    assert_eq!(rig.bonded(), (1_000_000, 735));
}
