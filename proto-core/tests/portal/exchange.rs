//! Providers that are paid in another currency than users are billed in.

use labman_proto_core::http::Surface;
use labman_proto_core::limits::{PORTAL_QUOTES, QUOTE_LIFE};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::keys::Descriptor;
use labman_proto_core::wire::portal::{Claim, End, Offer, Receipt, Verdict};
use serde_json::{Value, json};

use super::rig::*;

/// The rig's offer, paid in EUR to that address.
fn foreign_offer(address: &str) -> Vec<u8> {
    seal(PROVIDER, Offer { payout: in_euro(address), ..offer() })
}

fn foreign(number: u8, key: &str) -> Job {
    Job { offers: vec![foreign_offer("address")], ..job(number, key) }
}

fn provider(currency: &str) -> String {
    format!("{currency} provider:{}", node(PROVIDER))
}

/// A job for 10 tokens in and 7 out, paid in EUR.
fn earned(rig: &mut Rig, number: u8, key: &str) -> Receipt {
    let auth_id = rig.authorized(&foreign(number, key)).auth_id;
    rig.settled(auth_id, counts(10, 7))
}

fn why(reply: &Reply) -> String {
    reply.json()["error"]["message"].as_str().unwrap().into()
}

#[test]
fn a_provider_gets_what_it_asks_in_its_own_currency_and_each_currency_s_book_balances() {
    let (mut rig, key) = Rig::with_user_over(rails(0), "0.01");
    rig.quote("EUR", "0.92");
    let auth = rig.authorized(&foreign(1, &key));
    let attempt = &auth.attempts[0];
    // 700 EUR micros at most: 760.87 of XTS, with 5 % fees 798.91.
    assert_eq!((attempt.max_payout, attempt.max_charge, auth.hold), (Micros(700), Micros(799), Micros(799)));
    assert_eq!((attempt.payout_currency.as_str(), attempt.rate.into()), ("EUR", (23, 25)));

    let receipt = rig.settled(auth.auth_id, counts(10, 7));
    // 55 EUR micros: 59.78 of XTS, with 5 % fees 62.77.
    assert_eq!((receipt.payout, receipt.charge, receipt.rate), (Micros(55), Micros(63), attempt.rate));
    assert_eq!((receipt.billing_currency.as_str(), receipt.payout_to.clone()), ("XTS", in_euro("address")));
    assert_eq!(rig.balance("user:u000001"), 10_000 - 63);
    let stands = ["fx:EUR", "fep:fees", "fep:rounding", "EUR fx:EUR"].map(|account| rig.balance(account));
    assert_eq!(stands, [60, 0, 1, -55]);
    assert_eq!((rig.balance(&provider("EUR")), rig.balance(&format!("gateway:{}", node(GATEWAY)))), (55, 2));

    let claim = Claim { payout_to: in_euro("address"), ..claim(1, 55, vec![receipt.receipt_id]) };
    let decision = rig.decided(PROVIDER, claim);
    assert_eq!(decision.verdict, Verdict::Accepted);
    assert_eq!((rig.balance(&provider("EUR")), rig.balance("EUR rail:payouts")), (0, 55));
    let (_, made) = rig.disk.rows("rail").pop().unwrap();
    assert_eq!((&made["currency"], &made["amount"]), (&json!("EUR"), &json!(55)));
    let before = rig.accounts();
    rig.crash();
    assert_eq!(rig.accounts(), before, "both books are on the disk");
    let report = super::audit::judged(&rig);
    assert!(report.holds(), "{:#?}", report.findings);
    let sums: Vec<_> = report.sheets.iter().map(|sheet| (sheet.currency.as_str(), sheet.sum())).collect();
    assert_eq!(sums, [("EUR", 0), ("XTS", 0)]);
}

#[test]
fn a_job_is_settled_at_the_rate_that_it_was_authorized_at_whatever_is_quoted_by_then() {
    let (mut rig, key) = Rig::with_user_over(rails(0), "0.01");
    rig.quote("EUR", "0.92");
    let auths = [1, 2, 3].map(|number| rig.authorized(&foreign(number, &key)).auth_id);
    rig.quote("EUR", "0.10");
    assert_eq!(rig.settled(auths[0], counts(10, 7)).charge, Micros(63));
    let drop = rig.admin("POST", "/fx/drop", json!({ "currency": "EUR" }));
    assert_eq!((drop.status, rig.settled(auths[1], counts(10, 7)).charge), (200, Micros(63)));
    rig.crash();
    assert_eq!(rig.settled(auths[2], counts(10, 7)).charge, Micros(63));
}

#[test]
fn a_bond_pays_for_an_attempt_in_another_currency_at_its_rate() {
    let (mut rig, key) = Rig::with_user_over(rails(0), "0.01");
    rig.quote("EUR", "0.92");
    let auth_id = rig.authorized(&foreign(1, &key)).auth_id;
    assert_eq!(rig.usage(bare_report(auth_id, None, counts(0, 0))).status, 204);
    let said = statement(auth_id, 0, counts(10, 7), End::Complete, Some(7));
    let receipt: Receipt = rig.states(PROVIDER, said).object();
    assert_eq!((receipt.charge, receipt.payout), (Micros(63), Micros(55)));
    assert_eq!((rig.bonded().0, rig.balance(&provider("EUR"))), (1_000_000 - 63, 55));
    assert!(super::audit::judged(&rig).holds());
}

#[test]
fn without_a_quote_that_holds_an_offer_is_refused_and_its_operator_told_what_to_do() {
    let (mut rig, key) = Rig::with_user_over(rails(0), "0.01");
    let refused = rig.authorize(&foreign(1, &key));
    assert_eq!(refused.refusal(), (400, "bad_request".into()));
    assert!(why(&refused).contains("no quote for EUR") && why(&refused).contains("labman-fep fx set EUR"));
    rig.quote("EUR", "0.92");
    rig.pass(Span::from_secs(3_599));
    rig.authorized(&foreign(1, &key));
    rig.pass(Span::from_secs(1));
    let refused = rig.authorize(&foreign(2, &key));
    assert!(why(&refused).contains("quote for EUR has lapsed"), "{}", why(&refused));
    assert_eq!(rig.admin("GET", "/fx", Value::Null).json()["quotes"][0]["state"], "lapsed");
    rig.quote("EUR", "0.93");
    rig.authorized(&foreign(2, &key));
}

#[test]
fn an_offer_is_refused_whose_currency_no_rail_moves() {
    let (mut rig, key) = Rig::with_user("0.01");
    rig.quote("EUR", "0.92");
    let refused = rig.authorize(&foreign(1, &key));
    assert!(why(&refused).contains("does not pay in EUR over the rail test"), "{}", why(&refused));
    let refused = rig.admin(
        "POST",
        "/withdrawals",
        json!({ "user": "u000001", "amount": "0.001", "to": "address", "reference": "w" }),
    );
    assert_eq!(refused.status, 200, "a user's money is of the billing currency");
}

#[test]
fn quotes_are_told_while_they_hold_outlive_a_crash_and_are_few() {
    let (mut rig, _) = Rig::with_user("0.01");
    let told = |rig: &mut Rig| {
        let descriptor = rig.call(Surface::Public, "GET", "/v1/descriptor", b"").object::<Descriptor>();
        descriptor.quotes.iter().map(|quote| quote.rate.to_string()).collect::<Vec<_>>()
    };
    rig.quote("EUR", "0.92");
    rig.crash();
    assert_eq!(told(&mut rig), ["23/25"]);
    rig.pass(Span::from_secs(3_600));
    assert!(told(&mut rig).is_empty());
    let most = QUOTE_LIFE.as_millis() / 1000;
    for (currency, rate, valid_for_s) in [
        ("XTS", "1", 60),
        ("eur", "1", 60),
        ("EUR", "0", 60),
        ("EUR", "a", 60),
        ("EUR", "1", 0),
        ("EUR", "1", most + 1),
    ] {
        let body = json!({ "currency": currency, "rate": rate, "valid_for_s": valid_for_s });
        assert_eq!(rig.admin("POST", "/fx", body).refusal().0, 400, "{currency} {rate} {valid_for_s}");
    }
    (1..PORTAL_QUOTES).for_each(|number| rig.quote(&format!("C{number:02}"), "2"));
    let body = json!({ "currency": "CZZ", "rate": "2", "valid_for_s": 60 });
    assert_eq!(rig.admin("POST", "/fx", body.clone()).refusal().0, 503);
    assert_eq!(rig.admin("POST", "/fx/drop", json!({ "currency": "C01" })).status, 200);
    assert_eq!(rig.admin("POST", "/fx/drop", json!({ "currency": "C01" })).refusal().0, 404);
    assert_eq!(rig.admin("POST", "/fx", body).status, 200);
}

#[test]
fn a_provider_s_statement_is_of_one_currency() {
    let (mut rig, key) = Rig::with_user_over(rails(0), "0.01");
    rig.quote("EUR", "0.92");
    earned(&mut rig, 1, &key);
    let auth_id = rig.authorized(&job(2, &key)).auth_id;
    rig.settled(auth_id, counts(1, 1));
    for (currency, kind, amount) in [("EUR", "exchange", "0.000055"), ("XTS", "capture", "0.000007")] {
        let query = format!("/statement?provider={}&currency={currency}", node(PROVIDER));
        let statement = rig.admin("GET", &query, Value::Null).json();
        let [movement] = &statement["movements"].as_array().unwrap()[..] else { panic!("{statement}") };
        assert_eq!((&movement["kind"], &movement["amount"]), (&json!(kind), &json!(amount)));
        assert_eq!((&statement["currency"], &statement["closing"]), (&json!(currency), &json!(amount)));
    }
}

#[test]
fn what_is_too_little_is_carried_over_in_each_currency_by_itself() {
    let (mut rig, key) = Rig::with_user_over(rails(100), "0.01");
    rig.quote("EUR", "0.92");
    let foreign = [1, 2].map(|number| earned(&mut rig, number, &key).receipt_id);
    let auth_id = rig.authorized(&job(3, &key)).auth_id;
    let own = rig.settled(auth_id, counts(10, 7)).receipt_id;
    let in_euro = |number, id| Claim { payout_to: in_euro("address"), ..claim(number, 55, vec![id]) };
    assert_eq!(rig.claim(PROVIDER, in_euro(1, foreign[0])).status, 503);
    assert_eq!(rig.claim(PROVIDER, claim(2, 55, vec![own])).status, 503, "it is another currency's");
    let decision = rig.decided(PROVIDER, in_euro(3, foreign[1]));
    assert_eq!(decision.payout.unwrap().amount, Micros(55));
    assert_eq!((rig.balance("EUR rail:payouts"), rig.balance("rail:payouts")), (110, 0));
}
