//! `labman-cli exposure`.

use serde_json::Value;

use crate::table::{Table, amount, short, text};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let columns = [
        "FEP",
        "currency",
        "in flight",
        "stated",
        "unclaimed",
        "in claim",
        "disputed",
        "written off",
        "owed in all",
        "may owe",
    ];
    let mut table = Table::new(&columns);
    for fep in answer["feps"].as_array().into_iter().flatten() {
        let parts =
            ["in_flight", "stated", "unclaimed", "in_claim", "disputed", "written_off", "total", "limit"];
        let amounts = parts.iter().map(|part| amount(&fep[*part]));
        table.row([short(&fep["fep_id"]), text(&fep["currency"])].into_iter().chain(amounts).collect());
    }
    match table.is_empty() {
        true => "This node is no provider: nobody owes it anything.".to_string(),
        false => table.text(),
    }
}

/// What was written off, and counts no more.
pub(crate) fn cleared(answer: &Value) -> String {
    let mut table = Table::new(&["cleared", "currency", "FEP", "address"]);
    for part in answer["cleared"].as_array().into_iter().flatten() {
        table.row(vec![
            amount(&part["cleared"]),
            text(&part["currency"]),
            short(&part["fep_id"]),
            text(&part["address"]),
        ]);
    }
    match table.is_empty() {
        true => "No FEP like that has anything written off that still counts.".to_string(),
        false => table.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_fep_is_a_line_with_what_it_owes_and_may_owe() {
        let fep = json!({
            "fep_id": "FepFepFepFep", "currency": "XTS", "in_flight": 700, "stated": 0, "unclaimed": 121, "in_claim": 0, "disputed": 0,
            "written_off": 0, "total": 821, "limit": 10_000_000,
        });
        let shown = for_eyes(&json!({ "feps": [fep] }));
        let line = shown.lines().nth(1).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells[..5], ["FepFepFepF", "XTS", "0.000700", "0.000000", "0.000121"], "{shown}");
        assert_eq!(cells[8..], ["0.000821", "10.000000"], "{shown}");
    }

    #[test]
    fn what_is_cleared_is_said() {
        let part = json!({ "fep_id": "FepFepFepFep", "currency": "XTS", "address": "a", "cleared": 121 });
        assert!(cleared(&json!({ "cleared": [part] })).contains("0.000121"));
        assert!(cleared(&json!({ "cleared": [] })).starts_with("No FEP like that"));
    }

    #[test]
    fn a_gateway_says_that_it_is_no_provider() {
        assert!(for_eyes(&json!({ "feps": [] })).contains("no provider"));
    }
}
