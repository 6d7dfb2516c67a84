//! `POST /v1/responses`, as the chat that it comes to: runtimes know chats.
//!
//! What is absent: anything that would be kept between requests. A response is not stored, so none can be continued by its id; tools that
//! run at OpenAI (web search, files, code) run nowhere here.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::fields::OF_RESPONSE;
use super::spot::Spot;

type Fields = Map<String, Value>;

/// Fields that mean the same to a chat.
const SAME: [&str; 19] = [
    "model",
    "provider",
    "stream",
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "top_logprobs",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "store",
    "service_tier",
    "seed",
    "top_k",
    "min_p",
    "chat_template_kwargs",
];

/// Fields that change nothing here, whatever they say.
const WITHOUT_EFFECT: [&str; 3] = ["max_tool_calls", "truncation", "stream_options"];

/// Fields that would need something kept, and what to do instead.
const REFUSED: [(&str, &str); 5] = [
    ("previous_response_id", "no response is kept: send the whole conversation as `input`"),
    ("conversation", "no conversation is kept: send all of it as `input`"),
    ("background", "a response is not made in the background: ask for a stream"),
    ("prompt", "no prompts are kept: send `instructions` and `input`"),
    ("moderation", "nothing is moderated here"),
];

/// What a response repeats of its request.
const REPEATED: [&str; 14] = [
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
];

/// A request as a chat's.
pub(super) struct AsChat {
    pub(super) fields: Fields,
    /// What the response repeats.
    pub(super) repeated: Fields,
    /// Names of fields that were left out.
    pub(super) ignored: Vec<String>,
}

impl AsChat {
    /// It asks for no response.
    pub(super) fn it_is(fields: Fields) -> Self {
        Self { fields, repeated: Fields::new(), ignored: Vec::new() }
    }
}

///
/// # Errors
///
/// Names the field that is wrong, or can't be honoured.
pub(super) fn as_chat(fields: Fields) -> Result<AsChat, ApiError> {
    let is_given =
        |name: &str| fields.get(name).is_some_and(|value| !value.is_null() && *value != json!(false));
    if let Some((name, why)) = REFUSED.iter().find(|(name, _)| is_given(name)) {
        return Err(ApiError::bad_param(*name, format!("`{name}` can't be honoured: {why}.")));
    }
    for field in OF_RESPONSE {
        let value = fields.get(field.name).unwrap_or(&Value::Null);
        field.check(&Spot::of(field.name, value))?;
    }
    let mut repeated = defaults();
    for name in REPEATED {
        match (repeated.get_mut(name), fields.get(name)) {
            (_, None | Some(Value::Null)) => {}
            // What was not said of it is as by default.
            (Some(Value::Object(default)), Some(Value::Object(said))) => {
                default.extend(as_repeated(name, said))
            }
            (_, Some(Value::Array(tools))) if name == "tools" => {
                drop(repeated.insert(name.into(), tools.iter().map(as_described).collect()))
            }
            (_, Some(value)) => drop(repeated.insert(name.into(), value.clone())),
        }
    }
    let mut messages = Vec::new();
    if let Some(text) = fields.get("instructions").and_then(Value::as_str) {
        messages.push(json!({ "role": "system", "content": text }));
    }
    match fields.get("input") {
        Some(Value::String(text)) => messages.push(json!({ "role": "user", "content": text })),
        Some(Value::Array(items)) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                take_item(&mut messages, item).map_err(|what| {
                    ApiError::bad_param(format!("input[{at}]"), format!("`input[{at}]` {what}."))
                })?;
            }
        }
        _ => {
            return Err(ApiError::bad_param("input", "`input` must be a text or a non-empty list of items."));
        }
    }
    let (mut chat, mut ignored) = (Fields::new(), Vec::new());
    chat.insert("messages".into(), messages.into());
    for (name, value) in fields {
        match name.as_str() {
            _ if value.is_null() => {}
            "input" | "instructions" => {}
            name if WITHOUT_EFFECT.contains(&name) || REFUSED.iter().any(|(refused, _)| *refused == name) => {
            }
            "max_output_tokens" => {
                chat.insert("max_tokens".into(), value);
            }
            "tools" => {
                chat.insert("tools".into(), tools(&value)?);
            }
            "tool_choice" => {
                chat.insert("tool_choice".into(), tool_choice(value)?);
            }
            "text" => {
                chat.extend(format_of(&value)?.map(|format| ("response_format".into(), format)));
                let verbosity = value.get("verbosity").filter(|verbosity| !verbosity.is_null());
                chat.extend(verbosity.map(|verbosity| ("verbosity".into(), verbosity.clone())));
            }
            // The other things that can be included come from tools that run nowhere here.
            "include" => {
                let included = value.as_array().into_iter().flatten();
                if included.clone().any(|one| *one == json!("message.output_text.logprobs")) {
                    chat.insert("logprobs".into(), json!(true));
                }
            }
            "reasoning" => {
                let effort = value.get("effort").filter(|effort| !effort.is_null());
                chat.extend(effort.map(|effort| ("reasoning_effort".into(), effort.clone())));
            }
            same if SAME.contains(&same) => {
                if name == "top_logprobs" && value != json!(0) {
                    chat.insert("logprobs".into(), json!(true));
                }
                chat.insert(name, value);
            }
            _ => ignored.push(name),
        }
    }
    Ok(AsChat { fields: chat, repeated, ignored })
}

fn defaults() -> Fields {
    let defaults = json!({
        "instructions": null, "max_output_tokens": null, "metadata": {}, "parallel_tool_calls": true,
        "prompt_cache_key": null, "reasoning": { "effort": null, "summary": null }, "safety_identifier": null,
        "temperature": 1.0, "top_logprobs": 0, "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [], "top_p": 1.0,
    });
    defaults.as_object().cloned().unwrap_or_default()
}

/// What a response says of an object in its request: of reasoning and text, what has an effect here.
fn as_repeated(name: &str, said: &Fields) -> Fields {
    let kept: &[&str] = match name {
        "reasoning" => &["effort", "summary"],
        "text" => &["format", "verbosity"],
        _ => return said.clone(),
    };
    let is_said = |(key, value): &(&String, &Value)| kept.contains(&key.as_str()) && !value.is_null();
    said.iter().filter(is_said).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A tool with the fields that are described in every case.
fn as_described(tool: &Value) -> Value {
    let mut tool = tool.clone();
    if let Some(fields) = tool.as_object_mut() {
        for name in ["parameters", "strict"] {
            fields.entry(name).or_insert(Value::Null);
        }
    }
    tool
}

/// One item of the conversation, as messages.
fn take_item(messages: &mut Vec<Value>, item: &Value) -> Result<(), &'static str> {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    match text("type").unwrap_or("message") {
        "message" => {
            let role = match text("role").ok_or("must have a `role`")? {
                "developer" => "system",
                role @ ("user" | "system" | "assistant") => role,
                _ => return Err("must have a `role` of user, system, developer or assistant"),
            };
            let content = content(item.get("content")).ok_or("must have a `content`")??;
            let mut last = messages.last_mut().filter(|last| last["role"] == role);
            let said = last.as_mut().and_then(|last| last.get_mut("content")).filter(|_| role == "system");
            // Some templates take one, at the beginning.
            if let (Some(Value::String(said)), Some(text)) = (said, content.as_str()) {
                said.push_str("\n\n");
                said.push_str(text);
                return Ok(());
            }
            match messages.last_mut().filter(|last| last["role"] == role) {
                // Behind its calls, but of the same answer: the results must follow the calls.
                Some(last) if role == "assistant" && is_mere_calls(last) => last["content"] = content,
                _ => messages.push(json!({ "role": role, "content": content })),
            }
        }
        "function_call" => {
            let (Some(id), Some(name), Some(arguments)) = (text("call_id"), text("name"), text("arguments"))
            else {
                return Err("must have `call_id`, `name` and `arguments`");
            };
            let call =
                json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
            // Text and calls of one answer are one message.
            match messages
                .last_mut()
                .filter(|last| last["role"] == "assistant")
                .and_then(Value::as_object_mut)
            {
                Some(answer) => {
                    let calls = answer.entry("tool_calls").or_insert(json!([]));
                    calls.as_array_mut().into_iter().for_each(|calls| calls.push(call.clone()));
                }
                None => messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] })),
            }
        }
        "function_call_output" => {
            let id = text("call_id").ok_or("must have a `call_id`")?;
            let output = content(item.get("output")).ok_or("must have an `output`")??;
            messages.push(json!({ "role": "tool", "tool_call_id": id, "content": output }));
        }
        // What a model thought is not told to it again.
        "reasoning" => {}
        "item_reference" => {
            return Err(
                "names what was said before, and nothing is kept: send `store: false`, or the item itself",
            );
        }
        _ => return Err("is of a type that nobody here knows"),
    }
    Ok(())
}

fn is_mere_calls(message: &Value) -> bool {
    message.get("tool_calls").is_some() && message["content"].is_null()
}

/// Texts in a row are one: many templates know no others. `None`: there is nothing.
fn content(content: Option<&Value>) -> Option<Result<Value, &'static str>> {
    match content? {
        Value::String(text) => Some(Ok(json!(text))),
        Value::Array(parts) => {
            let parts: Result<Vec<Value>, _> = parts.iter().map(part).collect();
            Some(parts.map(|parts| {
                let texts: Option<Vec<&str>> = parts.iter().map(|part| part.get("text")?.as_str()).collect();
                texts.map_or_else(|| json!(parts), |texts| json!(texts.concat()))
            }))
        }
        _ => None,
    }
}

fn part(part: &Value) -> Result<Value, &'static str> {
    let text = |name: &str| part.get(name).and_then(Value::as_str);
    match text("type") {
        Some("input_text" | "output_text" | "text") => {
            let text = text("text").ok_or("holds a text part without `text`")?;
            Ok(json!({ "type": "text", "text": text }))
        }
        Some("refusal") => {
            let text = text("refusal").ok_or("holds a refusal without `refusal`")?;
            Ok(json!({ "type": "text", "text": text }))
        }
        Some("input_image") => {
            let url = text("image_url").filter(|url| url.starts_with("data:"));
            let url = url.ok_or("holds an image that is not a `data:` URL")?;
            Ok(json!({ "type": "image_url", "image_url": { "url": url } }))
        }
        _ => Err("holds a part that is neither text nor an image"),
    }
}

/// Of a mistake in the chat that it came to: where it is in what was asked.
pub(super) fn as_its_user_says(error: ApiError) -> ApiError {
    const NAMES: [(&str, &str); 5] = [
        ("max_tokens", "max_output_tokens"),
        ("messages", "input"),
        ("response_format", "text.format"),
        ("reasoning_effort", "reasoning.effort"),
        ("verbosity", "text.verbosity"),
    ];
    let Some(param) = &error.param else { return error };
    let found = NAMES.into_iter().find(|(name, _)| param.split(['[', '.']).next() == Some(*name));
    let theirs = match found {
        Some((_, theirs)) => theirs.into(),
        // A response's functions stand in no object of their own.
        None if param.starts_with("tools[") => param.replace(".function", ""),
        None => return error,
    };
    let message = error.message.replace(param.as_str(), &theirs);
    ApiError { param: Some(theirs), message, ..error }
}

fn tools(tools: &Value) -> Result<Value, ApiError> {
    let list = tools.as_array().ok_or_else(|| ApiError::bad_param("tools", "`tools` must be a list."))?;
    let tool = |(at, tool): (usize, &Value)| {
        let function = match tool.get("type").and_then(Value::as_str) {
            Some("function") => tool.as_object().cloned(),
            _ => None,
        };
        let Some(mut function) = function else {
            let message = format!("`tools[{at}]` is not a function: other tools run nowhere here.");
            return Err(ApiError::bad_param(format!("tools[{at}]"), message));
        };
        function.remove("type");
        Ok(json!({ "type": "function", "function": function }))
    };
    list.iter().enumerate().map(tool).collect()
}

fn tool_choice(choice: Value) -> Result<Value, ApiError> {
    match &choice {
        Value::String(_) => Ok(choice),
        Value::Object(fields) if fields.get("type").and_then(Value::as_str) == Some("function") => {
            Ok(json!({ "type": "function", "function": { "name": fields.get("name") } }))
        }
        Value::Object(fields) if fields.get("type").and_then(Value::as_str) == Some("allowed_tools") => {
            let named =
                |tool: &Value| json!({ "type": tool.get("type"), "function": { "name": tool.get("name") } });
            let tools = fields.get("tools").and_then(Value::as_array);
            let tools: Vec<Value> = tools.into_iter().flatten().map(named).collect();
            let allowed = json!({ "mode": fields.get("mode"), "tools": tools });
            Ok(json!({ "type": "allowed_tools", "allowed_tools": allowed }))
        }
        _ => Err(ApiError::bad_param("tool_choice", "`tool_choice` must be a word, or name a function.")),
    }
}

/// What a chat calls the format of the text.
fn format_of(text: &Value) -> Result<Option<Value>, ApiError> {
    let Some(format) = text.get("format").filter(|format| !format.is_null()) else { return Ok(None) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(format.clone())),
        Some("json_schema") => {
            let mut schema = format.as_object().cloned().unwrap_or_default();
            schema.remove("type");
            Ok(Some(json!({ "type": "json_schema", "json_schema": schema })))
        }
        _ => {
            let message = "`text.format` must be of type `text`, `json_object` or `json_schema`.";
            Err(ApiError::bad_param("text.format", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(value: Value) -> Result<Value, ApiError> {
        as_chat(value.as_object().cloned().unwrap()).map(|chat| Value::Object(chat.fields))
    }

    #[test]
    fn a_conversation_is_the_same_as_a_chat() {
        let asked = json!({
            "model": "m", "instructions": "be short", "max_output_tokens": 9, "stream": true, "truncation": "auto",
            "input": [
                { "role": "developer", "content": "x" },
                { "type": "message", "role": "user", "content": [
                    { "type": "input_text", "text": "what is this?" },
                    { "type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto" },
                ]},
                { "type": "message", "role": "assistant", "content": [
                    { "type": "output_text", "text": "let me " }, { "type": "output_text", "text": "look" },
                ]},
                { "type": "reasoning", "summary": [] },
                { "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}" },
                { "type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "c1", "output": "7" },
                { "type": "function_call", "call_id": "c3", "name": "f", "arguments": "{}" },
                { "role": "assistant", "content": "again" },
                { "type": "function_call_output", "call_id": "c3", "output": "8" },
            ],
            "tools": [{ "type": "function", "name": "f", "parameters": {}, "strict": true }],
            "tool_choice": { "type": "function", "name": "f" },
            "text": { "format": { "type": "json_schema", "name": "s", "schema": {} }, "verbosity": "low" },
            "reasoning": { "effort": "low" }, "n": 2, "messages": [],
        });
        let call = |id: &str, name: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": "{}" } });
        assert_eq!(
            chat(asked).unwrap(),
            json!({
                "model": "m", "max_tokens": 9, "stream": true,
                "messages": [
                    { "role": "system", "content": "be short\n\nx" },
                    { "role": "user", "content": [
                        { "type": "text", "text": "what is this?" },
                        { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } },
                    ]},
                    { "role": "assistant", "content": "let me look", "tool_calls": [call("c1", "f"), call("c2", "g")] },
                    { "role": "tool", "tool_call_id": "c1", "content": "7" },
                    { "role": "assistant", "content": "again", "tool_calls": [call("c3", "f")] },
                    { "role": "tool", "tool_call_id": "c3", "content": "8" },
                ],
                "tools": [{ "type": "function", "function": { "name": "f", "parameters": {}, "strict": true } }],
                "tool_choice": { "type": "function", "function": { "name": "f" } },
                "response_format": { "type": "json_schema", "json_schema": { "name": "s", "schema": {} } },
                "verbosity": "low", "reasoning_effort": "low",
            })
        );
    }

    #[test]
    fn what_would_have_to_be_kept_is_refused_and_says_what_to_do() {
        for (extra, param) in [
            (json!({ "previous_response_id": "resp_1" }), "previous_response_id"),
            (json!({ "background": true }), "background"),
            (json!({ "input": [] }), "input"),
            (json!({ "input": [{ "role": "user" }] }), "input[0]"),
            (json!({ "input": [{ "type": "web_search_call" }] }), "input[0]"),
            (json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }), "input[0]"),
            (json!({ "tools": [{ "type": "web_search" }] }), "tools[0]"),
            (json!({ "tool_choice": 5 }), "tool_choice"),
            (json!({ "text": { "format": { "type": "yaml" } } }), "text.format"),
            (json!({ "truncation": "some" }), "truncation"),
            (json!({ "max_tool_calls": 0 }), "max_tool_calls"),
            (json!({ "include": ["message.output_text.logprobs", "all"] }), "include[1]"),
            (json!({ "reasoning": { "summary": "long" } }), "reasoning.summary"),
            (json!({ "metadata": [] }), "metadata"),
        ] {
            let mut asked = json!({ "model": "m", "input": "x", "background": false });
            asked.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            assert_eq!(chat(asked).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn a_mistake_in_the_chat_is_told_where_its_user_made_it() {
        use crate::openai::request::Request;
        use crate::openai::task::Call;
        for (extra, param) in [
            (json!({ "tools": [{ "type": "function", "name": "a b" }] }), "tools[0].name"),
            (json!({ "max_output_tokens": 0 }), "max_output_tokens"),
            (json!({ "text": { "format": { "type": "json_schema" } } }), "text.format"),
            (json!({ "reasoning": { "effort": "much" } }), "reasoning.effort"),
            (json!({ "service_tier": "best" }), "service_tier"),
            (json!({ "user": 5 }), "user"),
        ] {
            let mut asked = json!({ "model": "m", "input": "x" });
            asked.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let refused = Request::parse(Call::Response, &serde_json::to_vec(&asked).unwrap()).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(param), "{extra}");
            assert!(refused.message.contains(&format!("`{param}`")), "{}", refused.message);
        }
    }
}
