//! Which tools a model may call, said so that every runtime understands it: some know no choice that names one, and would go on as if
//! there were none.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::fields::{Is, TOOL};
use super::spot::Spot;
use crate::limits::TOOLS;

/// A choice that names tools becomes those tools, and a word.
///
/// # Errors
///
/// Names what is wrong: only functions can be called, and only what is there can be chosen.
pub(super) fn choose(body: &mut Map<String, Value>) -> Result<(), ApiError> {
    let there = match body.get_mut("tools") {
        None => BTreeSet::new(),
        Some(tools) if tools.as_array().is_some_and(|tools| tools.len() <= TOOLS) => functions(tools)?,
        Some(_) => {
            return Err(ApiError::bad_param(
                "tools",
                format!("`tools` must be an array of at most {TOOLS} functions."),
            ));
        }
    };
    let Some(choice) = body.remove("tool_choice") else { return Ok(()) };
    let Choice { word, named, is_one } = Choice::of(&choice)?;
    if there.is_empty() {
        return match word {
            "required" => Err(wrong("There are no `tools` to choose from.")),
            _ => Ok(()),
        };
    }
    if let Some(named) = named {
        if let Some(missing) = named.iter().find(|name| !there.contains(*name)) {
            let missing: String = missing.chars().take(64).collect();
            return Err(wrong(&format!("`tool_choice` names `{missing}`, which is none of the `tools`.")));
        }
        if let Some(Value::Array(tools)) = body.get_mut("tools") {
            tools.retain(|tool| name_of(tool).is_some_and(|name| named.contains(name)));
        }
    }
    if is_one {
        // One call, and not as many as the model likes.
        body.insert("parallel_tool_calls".into(), json!(false));
    }
    body.insert("tool_choice".into(), json!(word));
    Ok(())
}

/// Their names. That each is a function is written in where it is not said.
fn functions(tools: &mut Value) -> Result<BTreeSet<String>, ApiError> {
    for tool in tools.as_array_mut().into_iter().flatten() {
        if let Some(fields) = tool.as_object_mut().filter(|fields| fields.contains_key("function")) {
            fields.entry("type").or_insert(json!("function"));
        }
    }
    Is::Each(&TOOL).check(&Spot::of("tools", tools))?;
    Ok(tools.as_array().into_iter().flatten().filter_map(name_of).map(String::from).collect())
}

struct Choice {
    word: &'static str,
    /// What it is limited to.
    named: Option<BTreeSet<String>>,
    is_one: bool,
}

impl Choice {
    fn of(choice: &Value) -> Result<Self, ApiError> {
        let wrong = || wrong("`tool_choice` must be `none`, `auto` or `required`, or name a function.");
        let word = |value: &Value| ["none", "auto", "required"].into_iter().find(|word| value == word);
        if choice.is_string() {
            return Ok(Self { word: word(choice).ok_or_else(wrong)?, named: None, is_one: false });
        }
        match choice.get("type").and_then(Value::as_str) {
            Some("function") => {
                let name = name_of(choice).ok_or_else(wrong)?;
                Ok(Self { word: "required", named: Some([name.into()].into()), is_one: true })
            }
            Some("allowed_tools") => {
                let allowed = choice.get("allowed_tools").ok_or_else(wrong)?;
                let tools = allowed.get("tools").and_then(Value::as_array);
                let tools = tools.filter(|tools| (1..=TOOLS).contains(&tools.len())).ok_or_else(wrong)?;
                let names: Option<BTreeSet<String>> =
                    tools.iter().map(|tool| name_of(tool).map(String::from)).collect();
                let word = allowed.get("mode").and_then(word).filter(|word| *word != "none");
                Ok(Self {
                    word: word.ok_or_else(wrong)?,
                    named: Some(names.ok_or_else(wrong)?),
                    is_one: false,
                })
            }
            _ => Err(wrong()),
        }
    }
}

fn wrong(message: &str) -> ApiError {
    ApiError::bad_param("tool_choice", message)
}

/// Of a function.
fn name_of(tool: &Value) -> Option<&str> {
    let is_function = tool.get("type").and_then(Value::as_str) == Some("function");
    let name = tool.get("function").and_then(|function| function.get("name")).and_then(Value::as_str);
    name.filter(|name| is_function && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn chosen(tools: &[&str], choice: Value) -> Result<(Vec<String>, Value), Option<String>> {
        let tools: Vec<Value> =
            tools.iter().map(|name| json!({ "type": "function", "function": { "name": name } })).collect();
        let mut body = json!({ "tools": tools, "tool_choice": choice }).as_object().cloned().unwrap();
        choose(&mut body).map_err(|error| error.param)?;
        let names = body["tools"].as_array().unwrap().iter().filter_map(name_of).map(String::from).collect();
        Ok((names, body.get("tool_choice").cloned().unwrap_or_default()))
    }

    #[test]
    fn who_names_a_tool_gets_that_one_from_every_runtime() {
        let f = json!({ "type": "function", "function": { "name": "f" } });
        assert_eq!(chosen(&["f", "g"], f.clone()), Ok((["f".into()].to_vec(), json!("required"))));
        let some = json!({ "type": "allowed_tools", "allowed_tools": { "mode": "auto", "tools": [f] } });
        assert_eq!(chosen(&["f", "g"], some), Ok((["f".into()].to_vec(), json!("auto"))));
        assert_eq!(chosen(&["f"], json!("none")), Ok((["f".into()].to_vec(), json!("none"))));
        let mut untyped = json!({ "tools": [{ "function": { "name": "f" } }] }).as_object().cloned().unwrap();
        choose(&mut untyped).unwrap();
        assert_eq!(untyped["tools"][0]["type"], "function");
        assert_eq!(chosen(&[], json!("auto")), Ok((Vec::new(), Value::Null)));
    }

    #[test]
    fn what_can_not_be_chosen_is_told() {
        let f = || json!({ "type": "function", "function": { "name": "f" } });
        for (tools, choice) in [
            (&["g"][..], f()),
            (&[], f()),
            (&[], json!("required")),
            (&["f"], json!("perhaps")),
            (&["f"], json!({ "type": "custom" })),
            (&["f"], json!({ "type": "allowed_tools", "allowed_tools": { "mode": "auto", "tools": [] } })),
        ] {
            assert_eq!(chosen(tools, choice.clone()), Err(Some("tool_choice".into())), "{choice}");
        }
        let mut body = json!({ "tools": [f(), { "type": "custom" }] }).as_object().cloned().unwrap();
        assert_eq!(choose(&mut body).unwrap_err().param.as_deref(), Some("tools[1].type"));
    }
}
