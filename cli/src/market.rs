//! `labman-cli market`.

use serde_json::Value;

use crate::table::{Table, text};

pub(crate) fn for_eyes(answer: &Value) -> String {
    let mut table = Table::new(&["model", "jobs/h", "unserved/h", "around", "widest", "slots", "taken"]);
    for model in answer["models"].as_array().into_iter().flatten() {
        let columns = ["model", "jobs", "unserved", "around", "widest", "slots", "taken"];
        table.row(columns.map(|column| text(&model[column])).to_vec());
    }
    let heard = format!("{} neighbour(s) tell what their users ask for.", text(&answer["neighbours"]));
    match table.is_empty() {
        true => format!("Nothing was asked for in the last hour, as far as this node hears. {heard}"),
        false => format!(
            "{}\n{heard} jobs, unserved: of this node's users. around: both, of its neighbours' users. widest: in the\n\
             neighbourhood of the neighbour that hears of most. slots, taken: of the providers this gateway knows.",
            table.text()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_model_is_a_line_and_an_idle_market_a_sentence() {
        let shown = for_eyes(&json!({ "neighbours": 3, "models": [{
            "model": "qwen:7b", "jobs": 12, "unserved": 1, "around": 80, "widest": 200, "slots": 4, "taken": 4,
        }]}));
        let line = shown.lines().nth(1).unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["qwen:7b", "12", "1", "80", "200", "4", "4"]
        );
        assert!(for_eyes(&json!({ "neighbours": 0, "models": [] })).starts_with("Nothing was asked for"));
    }
}
