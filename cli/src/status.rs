//! `labman-cli status`.

use serde_json::Value;

use crate::table::{Table, short, text, uptime};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let figures = |name: &str| {
        let fields = answer[name].as_object().into_iter().flatten();
        fields
            .map(|(name, count)| format!("{} {}", text(count), name.replace('_', " ")))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut lines = vec![
        format!("node      {}", text(&answer["node_id"])),
        format!("network   {}", text(&answer["network"])),
        format!("roles     {}", roles(&answer["roles"])),
        format!("up        {}", uptime(answer["uptime_ms"].as_u64().unwrap_or_default())),
        format!("receipts  {}", figures("receipts")),
        format!("jobs      {}", figures("jobs")),
    ];
    if let Some(ahead) = answer["clock"]["ahead_of_peers_ms"].as_i64() {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        let seconds = ahead.unsigned_abs() / 1_000;
        lines.push(format!("clock     {seconds} s {side} its peers': no work is taken until it is set"));
    }
    lines.extend(section("FEPs", "none configured", feps(answer)));
    lines.extend(section("links", no_links(&answer["roles"]), links(answer)));
    lines.extend(section("models on the mesh", "none heard of", models(answer)));
    lines.extend(section("Portmans", "none configured", portmans(answer)));
    lines.join("\n")
}

fn feps(answer: &Value) -> Table {
    let mut table = Table::new(&["  FEP", "url", "state", "since"]);
    for fep in items(&answer["feps"]) {
        let state = match fep["state"].as_str() {
            Some("unknown") => "unknown: not called yet".to_string(),
            _ => text(&fep["state"]),
        };
        let since = fep["for_ms"].as_u64().map(|ms| format!("{} ago", uptime(ms))).unwrap_or_default();
        table.row(vec![format!("  {}", short(&fep["fep_id"])), text(&fep["url"]), state, since]);
    }
    table
}

/// Providers dial; a node that is both serves its own users over no link.
fn no_links(roles: &Value) -> &'static str {
    match (roles["gateway"] == true, roles["provider"] == true) {
        _ if roles["unpaid"] == true => "none: this node serves its own users",
        (true, true) => "none: this node serves its own users",
        (true, false) => "none: providers dial in, each with this node in its [[bootstrap]] entries",
        (false, _) => "none: check the [[bootstrap]] entries and the log",
    }
}

fn links(answer: &Value) -> Table {
    let mut table = Table::new(&["  node", "admitted", "dialled"]);
    for link in items(&answer["links"]) {
        let by = if link["dialled"] == true { "by us" } else { "by it" };
        table.row(vec![format!("  {}", short(&link["node_id"])), text(&link["admitted"]), by.to_string()]);
    }
    table
}

fn models(answer: &Value) -> Table {
    let mut table = Table::new(&["  model", "provider", "slots"]);
    for model in items(&answer["models"]) {
        table.row(vec![
            format!("  {}", text(&model["slug"])),
            short(&model["provider"]),
            text(&model["slots"]),
        ]);
    }
    table
}

fn portmans(answer: &Value) -> Table {
    let mut table = Table::new(&["  ep", "attached", "models"]);
    for portman in items(&answer["portmans"]) {
        let models = items(&portman["models"]).map(|model| text(&model["id"])).collect::<Vec<_>>().join(", ");
        table.row(vec![format!("  {}", text(&portman["ep"])), text(&portman["attached"]), models]);
    }
    table
}

fn section(name: &str, empty: &str, table: Table) -> [String; 2] {
    let body = if table.is_empty() { format!("  {empty}") } else { table.text() };
    [format!("\n{name}"), body]
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn roles(value: &Value) -> String {
    let roles = value.as_object().into_iter().flatten().filter(|(_, has)| **has == true);
    roles.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fep_that_does_not_answer_is_a_line_that_says_since_when() {
        let shown = for_eyes(&json!({ "feps": [
            { "fep_id": "FepFepFepFep", "url": "http://a:8800", "state": "not answering", "for_ms": 125_000 },
            { "fep_id": "OtherOtherOther", "url": "http://b:8800", "state": "unknown", "for_ms": null },
        ]}));
        assert!(shown.contains("http://a:8800  not answering            2 min 5 s ago"), "{shown}");
        assert!(shown.contains("unknown: not called yet"), "{shown}");
    }

    #[test]
    fn a_lonely_node_is_told_what_to_look_at() {
        let shown = for_eyes(
            &json!({ "node_id": "N", "roles": { "gateway": false, "provider": true }, "uptime_ms": 61_000 }),
        );
        assert!(shown.contains("roles     provider") && shown.contains("up        1 min 1 s"), "{shown}");
        assert!(shown.contains("none: check the [[bootstrap]] entries"), "{shown}");
    }
    #[test]
    fn a_node_that_needs_no_link_is_not_sent_looking_for_one() {
        let shown = for_eyes(&json!({ "roles": { "gateway": true, "provider": true } }));
        assert!(shown.contains("none: this node serves its own users"), "{shown}");
        let shown = for_eyes(&json!({ "roles": { "gateway": false, "unpaid": true, "provider": true } }));
        assert!(shown.contains("none: this node serves its own users"), "{shown}");
        let shown = for_eyes(&json!({ "roles": { "gateway": true, "provider": false } }));
        assert!(shown.contains("providers dial in"), "{shown}");
    }
}
