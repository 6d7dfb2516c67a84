//! `labman-cli receipts`.

use labman_proto_core::limits::{JOB_TOTAL, SETTLE_MARGIN};
use serde_json::Value;

use crate::table::{Table, amount, short, text, uptime};

/// What a node lists at most.
const MOST: u64 = 1000;
/// A receipt that is not there after the longest job and its settlement is late.
const LATE_MS: u64 = JOB_TOTAL.as_millis() + SETTLE_MARGIN.as_millis();

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
    let mut lines = vec![listed];
    lines.extend(disputed(answer));
    let shown = answer["receipts"].as_array().map_or(0, Vec::len) as u64;
    lines.extend(answer["more"].as_u64().filter(|more| *more > 0).map(|more| match shown + more {
        all @ ..=MOST => format!("{more} more: --limit {all}"),
        _ if shown < MOST => format!("{more} more, at least: --limit {MOST} shows the newest {MOST}"),
        _ => "There are older ones, which are not listed here.".to_string(),
    }));
    lines.extend(answer["awaited"].as_u64().filter(|jobs| *jobs > 0).map(|jobs| {
        match answer["awaited_for_ms"].as_u64().filter(|ms| *ms >= LATE_MS) {
            None => format!("{jobs} job(s) still await a receipt: ask again in a moment."),
            Some(ms) => format!(
                "{jobs} job(s) still await a receipt, the first for {}: it may never come, if the gateway lost the \
                 job; after a day it is awaited no more.",
                uptime(ms)
            ),
        }
    }));
    lines.join("\n")
}

/// Those that their FEPs would not pay, and what can be done about them.
fn disputed(answer: &Value) -> Option<String> {
    let all = answer["receipts"].as_array()?.iter().filter(|receipt| receipt["state"] == "disputed");
    let line = |receipt: &Value| {
        let then = match receipt["disputed_until_ms"].is_null() {
            true => "its FEP says that this stands; it waits for you",
            false => "it is claimed again after `dispute_for`, or when its FEP says so",
        };
        format!("{} is disputed ({then}): {}", short(&receipt["receipt_id"]), text(&receipt["rejected"]))
    };
    let lines: Vec<String> = all.map(line).collect();
    (!lines.is_empty()).then(|| {
        format!(
            "{}\nOf each you can say, for good: `labman-cli receipts paid ID` (its money came all the same), `write-off ID` (you \
             give it up), or `claim-again ID`.",
            lines.join("\n")
        )
    })
}

/// What became of one that was disputed.
pub(crate) fn resolved(answer: &Value) -> String {
    let receipt = &answer["receipt"];
    let what = format!(
        "receipt {}, {} {}: ",
        short(&receipt["receipt_id"]),
        amount(&receipt["payout"]),
        text(&receipt["currency"])
    );
    let then = match receipt["state"].as_str() {
        Some("unclaimed") => {
            "it is claimed with the next, after `claim_every`; `labman-cli claims build` does it now"
                .to_string()
        }
        Some("written_off") => format!(
            "written off; it counts in what its FEP owes until `labman-cli exposure clear {}`",
            short(&receipt["fep_id"])
        ),
        _ => "it counts as paid".to_string(),
    };
    what + &then
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
    fn a_disputed_one_is_shown_with_its_reason_and_what_can_be_done() {
        let receipt = json!({ "receipt_id": "0123456789abcdef", "state": "disputed", "rejected": "no receipt of this provider" });
        let shown = for_eyes(&json!({ "receipts": [receipt] }));
        assert!(shown.contains("it waits for you): no receipt of this provider"), "{shown}");
        assert!(shown.contains("claim-again ID"), "{shown}");
    }

    #[test]
    fn one_that_is_written_off_is_said_to_count_on() {
        let receipt = |state| {
            json!({ "receipt": { "receipt_id": "0123456789ab", "payout": 86, "currency": "XTS",
            "state": state, "fep_id": "FepFepFepFep" } })
        };
        let shown = resolved(&receipt("written_off"));
        assert!(shown.starts_with("receipt 0123456789, 0.000086 XTS: written off"), "{shown}");
        assert!(shown.ends_with("`labman-cli exposure clear FepFepFepF`"), "{shown}");
        assert!(resolved(&receipt("unclaimed")).contains("claims build"));
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

    #[test]
    fn a_receipt_that_is_late_is_not_promised() {
        let shown = for_eyes(&json!({ "receipts": [], "awaited": 1, "awaited_for_ms": 1_200_000 }));
        assert!(shown.contains("1 job(s) still await a receipt, the first for 20 min"), "{shown}");
        assert!(!shown.contains("in a moment"), "{shown}");
    }

    #[test]
    fn a_list_that_is_cut_says_how_to_see_the_rest() {
        let list = |shown: usize, more| {
            let receipts = vec![json!({ "receipt_id": "x" }); shown];
            for_eyes(&json!({ "receipts": receipts, "more": more }))
        };
        assert!(list(20, 11).ends_with("\n11 more: --limit 31"));
        assert!(!list(20, 0).contains("more"));
        assert!(list(20, 980).ends_with("--limit 1000"));
        assert!(list(20, 1_500).contains("--limit 1000 shows the newest 1000"));
        assert!(list(1_000, 7).ends_with("older ones, which are not listed here."));
    }
}
