//! `labman-cli payouts`.

use serde_json::Value;

use crate::table::{Table, amount, short, text};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let mut table = Table::new(&["payout", "paid", "currency", "to", "rail", "FEP", "claim"]);
    for payout in answer["payouts"].as_array().into_iter().flatten() {
        table.row(vec![
            short(&payout["payout_id"]),
            amount(&payout["paid"]),
            text(&payout["currency"]),
            text(&payout["address"]),
            text(&payout["rail_tx"]),
            short(&payout["fep_id"]),
            short(&payout["claim_id"]),
        ]);
    }
    if table.is_empty() {
        return "No payouts yet: `labman-cli claims` shows what was asked for.".to_string();
    }
    let more =
        answer["more"].as_u64().filter(|more| *more > 0).map(|more| format!("\n{more} more, at least"));
    table.text() + &more.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_payout_is_one_line_with_where_it_went_and_for_what() {
        let payout = json!({
            "payout_id": "0123456789abcdef", "paid": 259, "currency": "XTS", "address": "test:me", "rail_tx": "test-1",
            "fep_id": "FepFepFepFep", "claim_id": "fedcba9876543210", "total": 259,
        });
        let shown = for_eyes(&json!({ "payouts": [payout], "more": 0 }));
        let line = shown.lines().nth(1).unwrap();
        assert!(line.starts_with("0123456789  0.000259  XTS       test:me  test-1"), "{shown}");
        assert!(for_eyes(&json!({ "payouts": [] })).starts_with("No payouts yet"));
    }
}
