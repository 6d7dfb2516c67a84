//! A chat's messages: what no template of any runtime would take is refused here, each of which would fail on it in its own way.
//!
//! What is absent: whether they follow each other as some models want it, and fields that are not known here, which pass.

use serde_json::Value;

use super::error::ApiError;
use super::fields::{Field, Is, field, needed};
use super::spot::Spot;

const ROLES: Is = Is::OneOf(&["developer", "system", "user", "assistant", "tool", "function"]);

/// Such as can be made here.
const CALL: Is = Is::With(&[
    field("type", Is::OneOf(&["function"])),
    needed("function", Is::With(&[needed("name", Is::Text), needed("arguments", Is::Text)])),
]);

const TEXT: &[Field] = &[needed("text", Is::Text)];
const REFUSAL: &[Field] = &[needed("refusal", Is::Text)];
/// One by URL would make the provider fetch from inside its network.
const IMAGE: &[Field] = &[needed("image_url", Is::With(&[needed("url", Is::Data)]))];

/// As they are between nodes (protocol.md, 8.3).
///
/// # Errors
///
/// Names the field that is wrong.
pub(super) fn check(messages: &Value) -> Result<(), ApiError> {
    check_each(messages, check_sent)
}

/// As a user is to write them, which is less: templates fail on the rest.
///
/// # Errors
///
/// Names the field that is wrong.
pub(super) fn check_written(messages: &Value) -> Result<(), ApiError> {
    check_each(messages, check_one)
}

fn check_each(messages: &Value, check: impl Fn(&Spot<'_>) -> Result<(), ApiError>) -> Result<(), ApiError> {
    let messages = Spot::of("messages", messages);
    if messages.items().next().is_none() {
        return Err(messages.wrong("a non-empty array"));
    }
    messages.items().try_for_each(|message| check(&message))
}

fn check_sent(message: &Spot<'_>) -> Result<(), ApiError> {
    Is::Object.check(message)?;
    Is::Text.check(&message.field("role"))?;
    let content = message.field("content");
    if content.value.is_null() { Ok(()) } else { check_content(&content) }
}

fn check_one(message: &Spot<'_>) -> Result<(), ApiError> {
    Is::Object.check(message)?;
    let role = message.field("role");
    ROLES.check(&role)?;
    let role = role.value.as_str().unwrap_or_default();
    let content = message.field("content");
    // A model may have called, or thought, and said nothing.
    if !(content.value.is_null() && matches!(role, "assistant" | "function")) {
        check_content(&content)?;
    }
    if role == "tool" {
        Is::Text.check(&message.field("tool_call_id"))?;
    }
    let calls = message.field("tool_calls");
    if calls.value.is_null() { Ok(()) } else { Is::Each(&CALL).check(&calls) }
}

fn check_content(content: &Spot<'_>) -> Result<(), ApiError> {
    match content.value {
        Value::String(_) => Ok(()),
        Value::Array(_) => content.items().try_for_each(|part| check_part(&part)),
        _ => Err(content.wrong("a string, or an array of parts")),
    }
}

fn check_part(part: &Spot<'_>) -> Result<(), ApiError> {
    let kind = part.field("type");
    let fields = match kind.value.as_str() {
        Some("text") => TEXT,
        Some("refusal") => REFUSAL,
        Some("image_url") => IMAGE,
        _ => return Err(kind.wrong("text, refusal or image_url: nothing else is understood here")),
    };
    fields.iter().try_for_each(|field| field.check(&part.field(field.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use serde_json::json;

    fn wrong(message: Value) -> Option<String> {
        let first = json!({ "role": "user", "content": "x" });
        let messages = json!([first, message]);
        let written = check_written(&messages);
        assert!(written.is_err() || check(&messages).is_ok(), "what passes here passes everywhere");
        written.err().map(|error| {
            let param = error.param.unwrap();
            assert!(error.message.starts_with(&alloc::format!("`{param}` must be ")), "{}", error.message);
            param.strip_prefix("messages[1]").unwrap().to_string()
        })
    }

    #[test]
    fn what_clients_send_back_of_a_conversation_passes() {
        let call = json!({ "id": "1", "type": "function", "function": { "name": "f", "arguments": "{}" } });
        for message in [
            json!({ "role": "developer", "content": "x", "name": "ann", "cache_control": {} }),
            json!({ "role": "user", "content": [{ "type": "text", "text": "x", "cache_control": {} }] }),
            json!({ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } }] }),
            json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
            json!({ "role": "assistant", "content": "x", "tool_calls": null, "refusal": null, "audio": null }),
            json!({ "role": "assistant", "content": [{ "type": "refusal", "refusal": "no" }] }),
            json!({ "role": "assistant", "reasoning_content": "hm" }),
            json!({ "role": "assistant", "content": "", "tool_calls": [{ "function": { "name": "f", "arguments": "" } }] }),
            json!({ "role": "tool", "tool_call_id": "1", "content": "7" }),
            json!({ "role": "function", "name": "f", "content": null }),
        ] {
            assert_eq!(wrong(message.clone()), None, "{message}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_message_is_told_where_it_is() {
        let call = |call: Value| json!({ "role": "assistant", "tool_calls": [call] });
        let part =
            |part: Value| json!({ "role": "user", "content": [{ "type": "text", "text": "x" }, part] });
        for (message, place) in [
            (json!(1), ""),
            (json!({ "content": "x" }), ".role"),
            (json!({ "role": "wizard", "content": "x" }), ".role"),
            (json!({ "role": "user" }), ".content"),
            (json!({ "role": "system", "content": null }), ".content"),
            (json!({ "role": "user", "content": 5 }), ".content"),
            (json!({ "role": "tool", "content": "7" }), ".tool_call_id"),
            (json!({ "role": "tool", "content": "7", "tool_call_id": 7 }), ".tool_call_id"),
            (part(json!({ "type": "text" })), ".content[1].text"),
            (part(json!({ "type": "input_audio" })), ".content[1].type"),
            (part(json!("x")), ".content[1].type"),
            (part(json!({ "type": "image_url", "image_url": "data:," })), ".content[1].image_url"),
            (
                part(json!({ "type": "image_url", "image_url": { "url": "http://10.0.0.1/x.png" } })),
                ".content[1].image_url.url",
            ),
            (json!({ "role": "assistant", "tool_calls": {} }), ".tool_calls"),
            (call(json!(1)), ".tool_calls[0]"),
            (call(json!({ "type": "custom", "custom": {} })), ".tool_calls[0].type"),
            (
                call(json!({ "function": { "name": "f", "arguments": {} } })),
                ".tool_calls[0].function.arguments",
            ),
        ] {
            assert_eq!(wrong(message.clone()).as_deref(), Some(place), "{message}");
        }
        for none in [json!([]), json!("hello"), json!(null)] {
            assert_eq!(check_written(&none), check(&none));
            assert_eq!(check(&none).unwrap_err().param.as_deref(), Some("messages"));
        }
    }
}
