//! `labman-cli receipts`.

use serde_json::Value;

use crate::table::{Table, amount, short, text};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let mut table = Table::new(&[
        "receipt", "state", "model", "in", "cached", "out", "earned", "currency", "FEP", "gateway", "request",
    ]);
    for receipt in answer["receipts"].as_array().into_iter().flatten() {
        let counts = &receipt["counts"];
        table.row(vec![
            short(&receipt["receipt_id"]),
            text(&receipt["state"]),
            text(&receipt["slug"]),
            text(&counts["input"]),
            text(&counts["cached"]),
            text(&counts["output"]),
            amount(&receipt["payout"]),
            text(&receipt["currency"]),
            short(&receipt["fep_id"]),
            short(&receipt["gateway_node_id"]),
            // As users and gateways see it, in `x-request-id`.
            format!("req_{}", text(&receipt["request_id"])),
        ]);
    }
    let listed = match table.is_empty() {
        true => "No receipts yet: nothing that was served here has been settled.".to_string(),
        false => table.text(),
    };
    match answer["awaited"].as_u64() {
        None | Some(0) => listed,
        Some(jobs) => format!("{listed}\n{jobs} job(s) still await a receipt: ask again in a moment."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_receipt_is_one_line_with_what_it_earned() {
        let answer = json!({ "receipts": [{
            "receipt_id": "0123456789abcdef", "state": "paid", "slug": "lab:toy:words", "request_id": "00ff",
            "counts": { "input": 12, "cached": 0, "output": 40 }, "payout": 86, "currency": "XTS",
            "fep_id": "FepFepFepFep", "gateway_node_id": "GateGateGate",
        }]});
        let shown = for_eyes(&answer);
        let line = shown.lines().nth(1).unwrap();
        assert!(line.starts_with("0123456789  paid   lab:toy:words  12"), "{line}");
        assert!(line.contains("0.000086  XTS") && line.ends_with("req_00ff"), "{line}");
    }

    #[test]
    fn an_empty_list_says_so() {
        assert!(for_eyes(&json!({ "receipts": [] })).starts_with("No receipts yet"));
    }

    #[test]
    fn a_job_that_is_being_settled_is_not_passed_over() {
        let shown = for_eyes(&json!({ "receipts": [], "awaited": 1 }));
        assert!(shown.ends_with("1 job(s) still await a receipt: ask again in a moment."), "{shown}");
    }
}
