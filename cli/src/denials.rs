//! `labman-cli denials`.

use serde_json::Value;

use crate::table::{Table, short, text, uptime};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let mut table = Table::new(&["who", "id", "for", "time", "why"]);
    for denial in answer["denials"].as_array().into_iter().flatten() {
        table.row(vec![
            text(&denial["is"]),
            short(&denial["id"]),
            uptime(denial["for_ms"].as_u64().unwrap_or_default()),
            text(&denial["times"]),
            text(&denial["why"]),
        ]);
    }
    match table.is_empty() {
        true => "Nobody is denied: whoever is trusted here is worked for.".to_string(),
        false => format!(
            "{}\nEach ends by itself; `labman-cli denials clear --id ID` ends one before.",
            table.text()
        ),
    }
}

pub(crate) fn cleared(answer: &Value) -> String {
    match answer["cleared"].as_array().map_or(0, Vec::len) {
        0 => "Nobody like that was denied.".to_string(),
        cleared => format!("{cleared} denial(s) ended."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_denial_is_a_line_with_how_long_it_lasts_and_why() {
        let denial = json!({
            "is": "fep", "id": "FepFepFepFep", "for_ms": 600_000, "times": 2, "why": "it rejects what is claimed",
        });
        let shown = for_eyes(&json!({ "denials": [denial] }));
        let line = shown.lines().nth(1).unwrap();
        assert!(
            line.starts_with("fep  FepFepFepF  10 min 0 s")
                && line.ends_with("2  it rejects what is claimed"),
            "{shown}"
        );
        assert!(for_eyes(&json!({ "denials": [] })).contains("Nobody is denied"));
    }

    #[test]
    fn it_is_said_whether_anything_was_cleared() {
        assert!(cleared(&json!({ "cleared": [] })).contains("Nobody"));
        assert_eq!(cleared(&json!({ "cleared": ["FepFepFepFep"] })), "1 denial(s) ended.");
    }
}
