//! `labman-cli explain REQUEST_ID`: who could have served a request, who was tried, and why in that order.

use serde_json::Value;

use crate::table::{Table, amount, short, text};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let [id, model, policy] = ["request_id", "model", "policy"].map(|field| text(&answer[field]));
    let mut told = vec![format!("{id} asked for {model:?}, routed by the policy {policy:?}.")];
    let mut considered = Table::new(&[
        "", "provider", "model", "at most", "score", "load", "slots", "first ms", "token ms", "served %",
        "because",
    ]);
    for (place, one) in (1..).zip(list(&answer["considered"])) {
        let mut because = text(&one["because"]);
        if one["newcomer"] == true {
            because.push_str("; not proved here yet");
        }
        considered.row(vec![
            place.to_string(),
            short(&one["provider"]),
            text(&one["slug"]),
            amount(&one["charge_at_most"]),
            text(&one["score"]),
            text(&one["load"]),
            text(&one["slots"]),
            thousandth(&one["first_token_us"]),
            thousandth(&one["token_us"]),
            text(&Value::from(one["reliability"].as_u64().unwrap_or(0) / 10)),
            because,
        ]);
    }
    let eligible = text(&answer["eligible"]);
    match considered.is_empty() {
        true => told.push("Nobody could serve it.".to_string()),
        false => told.push(format!("{eligible} could serve it, these first:\n\n{}", considered.text())),
    }
    for gone in list(&answer["removed"]) {
        let [count, why] = ["count", "why"].map(|field| text(&gone[field]));
        told.push(format!("{count} could not: {why} (such as {}).", short(&gone["for_example"])));
    }
    let attempts = list(&answer["attempts"]).map(|one| {
        format!(
            "  after {:>6} ms  {}  {}",
            text(&one["after_ms"]),
            short(&one["provider"]),
            text(&one["what"])
        )
    });
    let attempts: Vec<String> = attempts.collect();
    if !attempts.is_empty() {
        told.push(format!("What came of it:\n\n{}", attempts.join("\n")));
    }
    told.join("\n\n")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Microseconds as milliseconds; nothing where nothing was measured.
fn thousandth(value: &Value) -> String {
    value.as_u64().map(|micros| format!("{}.{}", micros / 1_000, micros % 1_000 / 100)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_decision_is_told_as_a_table_and_what_came_of_it_line_by_line() {
        let shown = for_eyes(&json!({
            "request_id": "req_01", "model": "qwen", "policy": "balanced", "eligible": 2,
            "considered": [{
                "provider": "9xQeWvG816bUx9EPjHmaT23", "slug": "a:b:qwen", "charge_at_most": 1_500, "score": 2_000,
                "load": 1, "own": 0, "slots": 4, "first_token_us": 120_450, "token_us": null, "reliability": 990,
                "newcomer": true, "because": "the best",
            }],
            "removed": [{ "why": "full", "count": 3, "for_example": "4uQeWvG816bUx9EPjHmaT23" }],
            "attempts": [{ "provider": "9xQeWvG816bUx9EPjHmaT23", "after_ms": 41, "what": "first chunk" }],
        }));
        for part in [
            "req_01",
            "120.4",
            "the best; not proved here yet",
            "3 could not: full",
            "first chunk",
            "0.001500",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let nobody = json!({ "request_id": "req_01", "considered": [], "removed": [], "attempts": [] });
        assert!(for_eyes(&nobody).contains("Nobody could serve it."));
    }
}
