//! `labman-cli claims`.

use serde_json::Value;

use crate::table::{Table, amount, short, text};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let mut table = Table::new(&["claim", "state", "receipts", "total", "paid", "currency", "FEP", "rail"]);
    for claim in answer["claims"].as_array().into_iter().flatten() {
        table.row(vec![
            short(&claim["claim_id"]),
            text(&claim["state"]),
            text(&claim["count"]),
            amount(&claim["total"]),
            amount(&claim["paid"]),
            text(&claim["currency"]),
            short(&claim["fep_id"]),
            text(&claim["rail_tx"]),
        ]);
    }
    if table.is_empty() {
        return "No claims yet: receipts are claimed once they sum to `least_payout`.".to_string();
    }
    let more =
        answer["more"].as_u64().filter(|more| *more > 0).map(|more| format!("\n{more} more, at least"));
    table.text() + &more.unwrap_or_default()
}

/// What an order to claim comes to.
pub(crate) fn built(answer: &Value) -> String {
    let listed = |part: &str, what: &'static str| {
        let mut table = Table::new(&[what, "sum", "currency", "FEP", "address"]);
        for group in answer[part].as_array().into_iter().flatten() {
            table.row(vec![
                text(&group["receipts"]),
                amount(&group["sum"]),
                text(&group["currency"]),
                short(&group["fep_id"]),
                text(&group["address"]),
            ]);
        }
        (!table.is_empty()).then(|| table.text())
    };
    let claimed = listed("claims", "receipts claimed")
        .map(|table| format!("{table}\n`labman-cli claims` shows what becomes of them."));
    let waits = listed("waits", "receipts that wait")
        .map(|table| format!("{table}\nThat is less than `least_payout`: --all claims it all the same."));
    let parts: Vec<String> = claimed.into_iter().chain(waits).collect();
    match parts.is_empty() {
        true => "Nothing waits to be claimed.".to_string(),
        false => parts.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_one_line_with_what_was_paid_for_it() {
        let claim = json!({
            "claim_id": "0123456789abcdef", "state": "paid", "count": 3, "total": 259, "paid": 259, "currency": "XTS",
            "fep_id": "FepFepFepFep", "rail_tx": "mock-1",
        });
        let open = json!({ "claim_id": "fedcba9876543210", "state": "submitted", "count": 1, "total": 5, "paid": null });
        let shown = for_eyes(&json!({ "claims": [open, claim], "more": 2 }));
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[2].starts_with("0123456789  paid              3  0.000259  0.000259  XTS"), "{shown}");
        assert!(lines[1].contains("submitted") && lines[3] == "2 more, at least", "{shown}");
    }

    #[test]
    fn what_is_claimed_and_what_is_too_little_are_told_apart() {
        let group =
            json!({ "receipts": 3, "sum": 259, "currency": "XTS", "fep_id": "FepFepFepFep", "address": "a" });
        let shown = built(&json!({ "claims": [group], "waits": [group] }));
        assert!(shown.contains("labman-cli claims") && shown.contains("--all"), "{shown}");
        assert_eq!(built(&json!({ "claims": [], "waits": [] })), "Nothing waits to be claimed.");
    }

    #[test]
    fn an_empty_list_says_so() {
        assert!(for_eyes(&json!({ "claims": [] })).starts_with("No claims yet"));
    }
}
