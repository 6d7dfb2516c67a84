//! What is printed: a line for each goal, and under them what the figures are made of.

use serde_json::{Value, json};

pub(crate) struct Line {
    pub(crate) what: &'static str,
    pub(crate) goal: &'static str,
    pub(crate) measured: String,
    pub(crate) met: bool,
    /// What a reader must know to judge it.
    pub(crate) notes: Vec<String>,
    /// The same, for programs.
    pub(crate) figures: Value,
}

impl Line {
    fn verdict(&self) -> &'static str {
        if self.met { "met" } else { "MISS" }
    }
}

pub(crate) fn print(lines: &[Line], as_json: bool) {
    if as_json {
        let line = |line: &Line| {
            json!({
                "what": line.what, "goal": line.goal, "measured": line.measured, "met": line.met,
                "figures": line.figures,
            })
        };
        return println!("{}", Value::Array(lines.iter().map(line).collect()));
    }
    let mut rows = vec![["", "goal", "measured", "verdict"].map(str::to_string)];
    rows.extend(lines.iter().map(|line| {
        [line.what.to_string(), line.goal.to_string(), line.measured.clone(), line.verdict().to_string()]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 3] = [0, 1, 2].map(width);
    for [what, goal, measured, verdict] in &rows {
        let [a, b, c] = widths;
        println!("{what:a$}  {goal:b$}  {measured:c$}  {verdict}");
    }
    for line in lines {
        println!("\n{}:", line.what);
        line.notes.iter().for_each(|note| println!("  {note}"));
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
