//! `labman-cli earnings`.

use clap::ValueEnum;
use serde_json::Value;
use time::Date;

use crate::table::{Table, amount, short, text};

/// Of what each line is a sum
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    Day,
    Model,
    Fep,
}

impl By {
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Day => "/earnings?by=day",
            Self::Model => "/earnings?by=model",
            Self::Fep => "/earnings?by=fep",
        }
    }
}

pub(crate) fn for_eyes(answer: &Value) -> String {
    let lines: Vec<&Value> = answer["earnings"].as_array().into_iter().flatten().collect();
    let Some(first) = lines.first() else {
        return "Nothing has been earned here yet.".to_string();
    };
    let (head, name): (&str, fn(&Value) -> String) = match first {
        line if !line["day_ms"].is_null() => ("day (UTC)", day),
        line if !line["slug"].is_null() => ("model", |line| text(&line["slug"])),
        _ => ("FEP", |line| short(&line["fep_id"])),
    };
    let columns = [head, "receipts", "in", "cached", "out", "earned", "paid", "currency"];
    let mut table = Table::new(&columns);
    for line in lines {
        let counts = ["receipts", "input", "cached", "output"].map(|count| text(&line[count]));
        let amounts = ["earned", "paid"].map(|sum| amount(&line[sum]));
        let cells = std::iter::once(name(line)).chain(counts).chain(amounts);
        table.row(cells.chain([text(&line["currency"])]).collect());
    }
    table.text()
}

/// The day that begins at `day_ms`.
fn day(line: &Value) -> String {
    const EPOCH_JULIAN: i64 = 2_440_588;
    let days = line["day_ms"].as_i64().unwrap_or_default() / 86_400_000;
    let date = i32::try_from(EPOCH_JULIAN + days).ok().and_then(|julian| Date::from_julian_day(julian).ok());
    date.map_or_else(|| text(&line["day_ms"]), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(name: &str, value: Value) -> Value {
        let mut line = json!({
            "receipts": 3, "input": 30, "cached": 0, "output": 21, "earned": 363, "paid": 121, "currency": "XTS",
        });
        line[name] = value;
        line
    }

    #[test]
    fn a_day_is_a_line_under_its_date() {
        let shown = for_eyes(&json!({ "earnings": [line("day_ms", json!(1_795_824_000_000_u64))] }));
        let cells: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(cells, ["2026-11-28", "3", "30", "0", "21", "0.000363", "0.000121", "XTS"], "{shown}");
    }

    #[test]
    fn models_and_feps_are_named() {
        let by_model = for_eyes(&json!({ "earnings": [line("slug", json!("lab:toy:words"))] }));
        assert!(by_model.lines().nth(1).unwrap().starts_with("lab:toy:words"), "{by_model}");
        let by_fep = for_eyes(&json!({ "earnings": [line("fep_id", json!("FepFepFepFep"))] }));
        assert!(by_fep.starts_with("FEP ") && by_fep.contains("FepFepFepF "), "{by_fep}");
    }

    #[test]
    fn who_has_earned_nothing_is_told_so() {
        assert_eq!(for_eyes(&json!({ "earnings": [] })), "Nothing has been earned here yet.");
    }
}
