//! `labman-cli plan`.

use serde_json::Value;

use crate::table::{Table, text};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let endpoints = answer["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    if endpoints.is_empty() {
        return "Nothing is decided here: no [[portman]] of this node says how much memory its models have. Add memory = \"24 GiB\" to \
                one, and what each of its models takes."
            .into();
    }
    let pages: Vec<String> = endpoints.iter().map(endpoint).collect();
    let next = answer["next_ms"].as_u64().map_or_else(|| "-".into(), minutes);
    format!(
        "{}\n{} models loaded in {} epochs; the next decision is in {next}. jobs/h: what is asked for in an hour, as far as gateways\n\
         tell. earns/h: what a model would earn here with its share of that, as far as that\n\
         comes. turns at: what that would have to be for another verdict.",
        pages.join("\n"),
        text(&answer["loads"]),
        text(&answer["epochs"])
    )
}

fn endpoint(endpoint: &Value) -> String {
    let mut table = Table::new(&[
        "model",
        "GiB",
        "state",
        "jobs/h",
        "slots elsewhere",
        "price",
        "earns/h",
        "verdict",
        "turns at",
        "why",
    ]);
    for model in endpoint["models"].as_array().into_iter().flatten() {
        let price = format!("x {:.2}", model["price_factor"].as_f64().unwrap_or(1_000.0) / 1_000.0);
        let turns_at = if model["turns_at"].is_null() { "-".into() } else { units(&model["turns_at"]) };
        table.row(vec![
            text(&model["model"]),
            gib(&model["memory"]),
            text(&model["state"]),
            text(&model["wanted_per_hour"]),
            text(&model["slots_elsewhere"]),
            price,
            units(&model["worth_per_hour"]),
            text(&model["verdict"]),
            turns_at,
            text(&model["why"]),
        ]);
    }
    let (ep, currency) = (text(&endpoint["ep"]), text(&endpoint["currency"]));
    let head = format!(
        "{ep}: {} of {} GiB in use; amounts in {currency}",
        gib(&endpoint["used"]),
        gib(&endpoint["memory"])
    );
    match table.is_empty() {
        true => format!(
            "{head}\nNothing was decided yet: a node that has started first listens to what is asked for.\n"
        ),
        false => format!("{head}\n{}", table.text()),
    }
}

fn gib(bytes: &Value) -> String {
    format!("{:.1}", bytes.as_f64().unwrap_or(0.0) / f64::from(1 << 30))
}

/// Of micro-units.
fn units(micros: &Value) -> String {
    format!("{:.6}", micros.as_f64().unwrap_or(0.0) / 1e6)
}

fn minutes(ms: u64) -> String {
    format!("{}:{:02} min", ms / 60_000, ms / 1_000 % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_hosted_is_told_with_its_reason_and_what_would_change_it() {
        let shown = for_eyes(&json!({ "next_ms": 61_000, "epochs": 3, "loads": 2, "endpoints": [{
            "ep": "gpu", "memory": 8_u64 << 30, "used": 4_u64 << 30, "currency": "XTS", "models": [{
                "model": "qwen:7b", "state": "runs", "verdict": "keep", "why": "next for its place: tide", "memory": 4_u64 << 30,
                "wanted_per_hour": 100, "slots_elsewhere": 2, "price_factor": 950, "worth_per_hour": 177_400, "turns_at": 167_723,
            }],
        }]}));
        assert!(shown.starts_with("gpu: 4.0 of 8.0 GiB in use; amounts in XTS\n"), "{shown}");
        let line = shown.lines().nth(2).unwrap();
        let expected = "qwen:7b 4.0 runs 100 2 x 0.95 0.177400 keep 0.167723 next for its place: tide";
        assert_eq!(line.split_whitespace().collect::<Vec<_>>().join(" "), expected);
        assert!(shown.contains("in 1:01 min"));
    }

    #[test]
    fn who_decides_nothing_is_told_how_to() {
        assert!(for_eyes(&json!({ "endpoints": [] })).contains("memory = \"24 GiB\""));
    }
}
