//! What moved on an account, as its owner would count it.

use labman_proto_core::limits::PORTAL_LIST;
use labman_proto_core::time::Span;
use serde_json::{Value, json};

use super::rig::*;

/// All pages of a statement: the movements, and what the last page says.
fn statement(rig: &mut Rig, query: &str) -> (Vec<(String, String)>, Value, u32) {
    let (mut movements, mut next, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = rig.admin("GET", &format!("/statement?{query}{next}"), Value::Null).json();
        pages += 1;
        let text = |movement: &Value, name: &str| movement[name].as_str().unwrap().to_string();
        let lines = page["movements"].as_array().unwrap().iter();
        movements.extend(lines.map(|movement| (text(movement, "kind"), text(movement, "amount"))));
        match page["next"].as_str() {
            Some(more) => next = format!("&next={more}"),
            None => return (movements, page, pages),
        }
    }
}

fn lines(movements: &[(String, String)]) -> Vec<(&str, &str)> {
    movements.iter().map(|(kind, amount)| (kind.as_str(), amount.as_str())).collect()
}

#[test]
fn a_statement_shows_what_came_and_went_and_not_what_was_only_held() {
    let (mut rig, key) = Rig::with_user("1");
    let [paid, given_up] = [1, 2].map(|number| rig.authorized(&job(number, &key)).auth_id);
    let receipt = rig.settled(paid, counts(10, 7));
    rig.usage(report(given_up, None, counts(0, 0)));
    let withdrawal = json!({ "user": "u000001", "amount": "0.5", "to": "address", "reference": "w" });
    rig.admin("POST", "/withdrawals", withdrawal);
    rig.decided(PROVIDER, claim(1, 55, vec![receipt.receipt_id]));

    let (user, last, _) = statement(&mut rig, "user=u000001");
    assert_eq!(
        lines(&user),
        [("deposit", "1.000000"), ("capture", "-0.000058"), ("withdrawal", "-0.500000")]
    );
    assert_eq!((&last["opening"], &last["closing"]), (&json!("0.000000"), &json!("0.499942")));
    let (provider, last, _) = statement(&mut rig, &format!("provider={}", node(PROVIDER)));
    assert_eq!(lines(&provider), [("capture", "0.000055"), ("payout", "-0.000055")]);
    assert_eq!(last["closing"], "0.000000");
    let (gateway, _, _) = statement(&mut rig, &format!("gateway={}", node(GATEWAY)));
    assert_eq!(lines(&gateway), [("capture", "0.000002")]);
}

#[test]
fn a_month_opens_with_what_the_months_before_left() {
    // The rig's time begins on 14 November 2023.
    let (mut rig, _) = Rig::with_user("1");
    rig.pass(Span::from_secs(30 * 86_400));
    rig.admin("POST", "/deposits", json!({ "user": "u000001", "amount": "2", "reference": "december" }));
    for (month, opening, movements, closing) in [
        ("2023-10", "0.000000", 0, "0.000000"),
        ("2023-11", "0.000000", 1, "1.000000"),
        ("2023-12", "1.000000", 1, "3.000000"),
        ("2024-01", "3.000000", 0, "3.000000"),
    ] {
        let (lines, last, _) = statement(&mut rig, &format!("user=u000001&month={month}"));
        let got = (last["opening"].as_str().unwrap(), lines.len(), last["closing"].as_str().unwrap());
        assert_eq!(got, (opening, movements, closing), "{month}");
    }
}

#[test]
fn a_long_statement_comes_in_pages_that_add_up() {
    let (mut rig, _) = Rig::with_user("1");
    rig.user("bob", "1");
    let deposits = PORTAL_LIST + 5;
    for number in 0..deposits {
        let body = json!({ "user": "u000001", "amount": "1", "reference": format!("r{number}") });
        assert_eq!(rig.admin("POST", "/deposits", body).status, 200);
    }
    let (movements, last, pages) = statement(&mut rig, "user=u000001&month=2023-11");
    assert_eq!((movements.len() as u32, pages), (deposits + 1, 2));
    assert_eq!(last["closing"], format!("{}.000000", deposits + 1));
}

#[test]
fn a_statement_is_of_one_account_that_is_there() {
    let (mut rig, _) = Rig::with_user("1");
    for (query, status) in [
        ("".to_string(), 400),
        ("user=u000009".to_string(), 404),
        ("user=ann".to_string(), 400),
        (format!("provider={}", node(PROVIDER)), 404),
        (format!("gateway={}", node(STRANGER)), 404),
        ("gateway=me".to_string(), 400),
        (format!("user=u000001&gateway={}", node(GATEWAY)), 400),
        ("user=u000001&month=2023-13".to_string(), 400),
        ("user=u000001&next=1.2".to_string(), 400),
        ("user=u000001&next=1.2.3.4".to_string(), 400),
    ] {
        let reply = rig.admin("GET", &format!("/statement?{query}"), Value::Null);
        assert_eq!(reply.refusal().0, status, "{query}");
    }
    let last = format!("/statement?user=u000001&next={}.1.{}", u64::MAX, i64::MAX);
    assert_eq!(rig.admin("GET", &last, Value::Null).refusal().0, 400, "sums that no page gave");
}
