//! Tables for eyes: aligned columns, short ids, amounts with their decimals.

use labman_proto_core::money::Micros;
use serde_json::Value;

/// Rows under a head. Columns of figures stand right.
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn text(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|name| name.to_string()).collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|at| {
                self.rows.iter().chain([&head]).filter_map(|row| row.get(at)).map(|c| c.chars().count()).max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| match is_figure(cell) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        };
        [&head].into_iter().chain(&self.rows).map(line).collect::<Vec<_>>().join("\n")
    }
}

fn is_figure(cell: &str) -> bool {
    !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'))
}

/// Enough of an id to tell it from others by eye; `--json` has it whole.
pub(crate) fn short(id: &Value) -> String {
    text(id).chars().take(10).collect()
}

/// As it is, without the quotes; nothing for what is not there.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Micro-units as a decimal amount.
pub(crate) fn amount(value: &Value) -> String {
    value.as_i64().map_or_else(|| text(value), |micros| Micros(micros).to_string())
}

/// A length of time, as exact as eyes need it.
pub(crate) fn uptime(ms: u64) -> String {
    let secs = ms / 1000;
    match (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60) {
        (0, 0, 0, secs) => format!("{secs} s"),
        (0, 0, minutes, secs) => format!("{minutes} min {secs} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_stand_left_and_figures_right() {
        let mut table = Table::new(&["name", "tokens"]);
        table.row(vec!["a".to_string(), "7".to_string()]);
        table.row(vec!["longer".to_string(), "1234567".to_string()]);
        assert_eq!(table.text(), "name    tokens\na             7\nlonger  1234567");
    }

    #[test]
    fn amounts_come_in_micro_units() {
        assert_eq!(amount(&json!(1_500_000)), "1.500000");
        assert_eq!(amount(&json!("0.5")), "0.5");
    }
}
