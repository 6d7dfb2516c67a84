//! Fields that a runtime gets as they are: OpenAI's own, then those that the common runtimes know beyond them; and what each may be.
//! A wrong one is told by its name before anybody is paid: runtimes differ in how they refuse it, and some do not.

use alloc::format;
use alloc::string::String;

use serde_json::Value;

use super::error::ApiError;

pub(super) struct Field {
    pub(super) name: &'static str,
    is: Is,
}

/// What a field may be, beside `null`.
#[derive(Clone, Copy)]
enum Is {
    /// It is checked elsewhere, or by the runtime.
    Whatever,
    Flag,
    Whole(i64, i64),
    Number(f64, f64),
    Text,
    OneOf(&'static [&'static str]),
    /// A text, or a list of at most so many.
    Texts(usize),
    List,
    Object,
    /// How a text is to be written: freely, as JSON, or by a schema.
    Format,
    /// By token, from -100 to 100.
    Biases,
}

const fn field(name: &'static str, is: Is) -> Field {
    Field { name, is }
}

const CHAT: &[Field] = &[
    field("messages", Is::Whatever),
    field("tools", Is::Whatever),
    field("tool_choice", Is::Whatever),
    field("parallel_tool_calls", Is::Flag),
    field("response_format", Is::Format),
    field("logprobs", Is::Flag),
    field("top_logprobs", Is::Whole(0, 20)),
    field("reasoning_effort", Is::OneOf(&["none", "minimal", "low", "medium", "high", "xhigh", "max"])),
    field("verbosity", Is::OneOf(&["low", "medium", "high"])),
    field("chat_template_kwargs", Is::Object),
];

const COMPLETION: &[Field] = &[field("prompt", Is::Whatever), field("logprobs", Is::Whole(0, 20))];

const EMBEDDING: &[Field] = &[field("input", Is::Whatever)];

/// How a text is chosen among all that could be said.
const SAMPLING: &[Field] = &[
    field("n", Is::Whatever),
    field("temperature", Is::Number(0.0, 2.0)),
    field("top_p", Is::Number(0.0, 1.0)),
    field("frequency_penalty", Is::Number(-2.0, 2.0)),
    field("presence_penalty", Is::Number(-2.0, 2.0)),
    field("stop", Is::Texts(16)),
    field("seed", Is::Whole(i64::MIN, i64::MAX)),
    field("logit_bias", Is::Biases), //
    field("top_k", Is::Whole(-1, i32::MAX as i64)),
    field("min_p", Is::Number(0.0, 1.0)),
    field("top_a", Is::Number(0.0, 1.0)),
    field("typical_p", Is::Number(0.0, 1.0)),
    field("repetition_penalty", Is::Number(0.0, 100.0)),
    field("repeat_penalty", Is::Number(0.0, 100.0)),
    field("min_tokens", Is::Whole(0, u32::MAX as i64)),
    field("ignore_eos", Is::Flag),
    field("guided_json", Is::Whatever),
    field("guided_regex", Is::Text),
    field("guided_choice", Is::List),
    field("guided_grammar", Is::Text),
    field("grammar", Is::Text),
];

/// Of each task.
pub(super) const PASSED_OF_CHAT: [&[Field]; 2] = [CHAT, SAMPLING];
pub(super) const PASSED_OF_COMPLETION: [&[Field]; 2] = [COMPLETION, SAMPLING];
pub(super) const PASSED_OF_EMBEDDING: [&[Field]; 2] = [EMBEDDING, &[]];

impl Field {
    /// # Errors
    ///
    /// Says what it must be.
    pub(super) fn check(&self, value: &Value) -> Result<(), ApiError> {
        if self.is.fits(value) {
            return Ok(());
        }
        let (name, must) = (self.name, self.is.told());
        Err(ApiError::bad_param(name, format!("`{name}` must be {must}.")))
    }
}

impl Is {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Whatever => true,
            Self::Flag => value.is_boolean(),
            Self::Whole(least, most) => value.as_i64().is_some_and(|number| (least..=most).contains(&number)),
            Self::Number(least, most) => {
                value.as_f64().is_some_and(|number| (least..=most).contains(&number))
            }
            Self::Text => value.is_string(),
            Self::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Self::Texts(most) => match value {
                Value::Array(texts) => texts.len() <= most && texts.iter().all(Value::is_string),
                one => one.is_string(),
            },
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::Format => match value.get("type").and_then(Value::as_str) {
                Some("text" | "json_object") => true,
                Some("json_schema") => value.pointer("/json_schema/schema").is_some_and(Value::is_object),
                _ => false,
            },
            Self::Biases => value.as_object().is_some_and(|biases| {
                biases.values().all(|bias| bias.as_f64().is_some_and(|bias| (-100.0..=100.0).contains(&bias)))
            }),
        }
    }

    fn told(self) -> String {
        match self {
            Self::Whatever => "anything".into(),
            Self::Flag => "true or false".into(),
            Self::Whole(i64::MIN, i64::MAX) => "an integer".into(),
            Self::Whole(least, most) => format!("an integer from {least} to {most}"),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::Text => "a string".into(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::Texts(most) => format!("a string, or an array of at most {most} strings"),
            Self::List => "an array".into(),
            Self::Object => "an object".into(),
            Self::Format => "of type `text`, `json_object` or `json_schema`, the last with a schema in `json_schema.schema`".into(),
            Self::Biases => "an object of numbers from -100 to 100, by token".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_of_the_wrong_kind_is_told_what_it_must_be() {
        let check = |name: &str, value: Value| {
            let mut fields = PASSED_OF_CHAT.into_iter().flatten();
            fields.find(|field| field.name == name).unwrap().check(&value).map_err(|error| error.message)
        };
        for (name, good) in [
            ("temperature", json!(0)),
            ("temperature", json!(1.5)),
            ("seed", json!(-3)),
            ("stop", json!("a")),
            ("stop", json!(["a", "b"])),
            ("logit_bias", json!({ "7": -100 })),
        ] {
            assert_eq!(check(name, good), Ok(()), "{name}");
        }
        for (name, bad, must) in [
            ("temperature", json!("hot"), "a number from 0 to 2"),
            ("temperature", json!(2.1), "a number from 0 to 2"),
            ("seed", json!(1.5), "an integer"),
            ("stop", json!([1]), "a string, or an array of at most 16 strings"),
            ("parallel_tool_calls", json!(1), "true or false"),
            ("top_logprobs", json!(21), "an integer from 0 to 20"),
            ("logit_bias", json!({ "7": 101 }), "an object of numbers from -100 to 100, by token"),
        ] {
            assert_eq!(check(name, bad), Err(format!("`{name}` must be {must}.")));
        }
    }
}
