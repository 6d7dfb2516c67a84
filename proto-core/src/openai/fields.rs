//! Fields of a request, and what each may be: those that a runtime gets as they are, OpenAI's own and then what the common runtimes
//! know beyond them; and those that stay at the gateway. A wrong one is told by its name before anybody is paid: runtimes differ in how
//! they refuse it, and some do not.

use alloc::format;
use alloc::string::String;

use serde_json::Value;

use super::error::ApiError;
use super::spot::Spot;
use super::task::Task;

pub(super) struct Field {
    pub(super) name: &'static str,
    is: Is,
    /// It must be there. What need not be may also be `null`.
    is_needed: bool,
}

/// What a field may be.
#[derive(Clone, Copy)]
pub(super) enum Is {
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
    /// A list of which each is so.
    Each(&'static Self),
    Object,
    /// An object with these, and whatever else.
    With(&'static [Field]),
    /// An object of texts.
    Texted,
    /// What a function may be called.
    Name,
    /// A URL that holds all it stands for.
    Data,
    /// How a text is to be written: freely, as JSON, or by a schema.
    Format,
    /// By token, from -100 to 100.
    Biases,
}

pub(super) const fn field(name: &'static str, is: Is) -> Field {
    Field { name, is, is_needed: false }
}

pub(super) const fn needed(name: &'static str, is: Is) -> Field {
    Field { name, is, is_needed: true }
}

const COUNT: Is = Is::Whole(1, u32::MAX as i64);

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

/// What concerns the user and the gateway only: honoured there, and never seen by a provider.
const KEPT: &[Field] = &[
    field("model", Is::Whatever),
    field("provider", Is::Whatever),
    field("user", Is::Text),
    field("metadata", Is::Texted),
    field("safety_identifier", Is::Text),
    field("prompt_cache_key", Is::Text),
    field("prompt_cache_retention", Is::Text),
    field("prompt_cache_options", Is::Object),
    field("store", Is::Flag),
    field("service_tier", Is::OneOf(&["auto", "default", "flex", "scale", "priority", "fast"])),
];

/// The same of what is said with a stream of tokens.
const KEPT_OF_TEXT: &[Field] = &[
    field("stream", Is::Flag),
    field("stream_options", STREAM_OPTIONS),
    field("max_tokens", COUNT),
    field("max_completion_tokens", COUNT),
];

const KEPT_OF_COMPLETION: &[Field] = &[field("echo", Is::Flag), field("best_of", COUNT)];

const KEPT_OF_EMBEDDING: &[Field] =
    &[field("encoding_format", Is::OneOf(&["float", "base64"])), field("dimensions", COUNT)];

const STREAM_OPTIONS: Is =
    Is::With(&[field("include_usage", Is::Flag), field("include_obfuscation", Is::Flag)]);

/// Of a request for a response, what is not the same in a chat.
pub(super) const OF_RESPONSE: &[Field] = &[
    field("instructions", Is::Text),
    field("reasoning", Is::With(&[field("summary", Is::OneOf(&["auto", "concise", "detailed"]))])),
    field("text", Is::Object),
    field("metadata", Is::Texted),
    field("include", Is::Each(&INCLUDED)),
    field("truncation", Is::OneOf(&["auto", "disabled"])),
    field("max_tool_calls", COUNT),
    field("stream_options", STREAM_OPTIONS),
];

const INCLUDED: Is = Is::OneOf(&[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]);

/// One of a chat's `tools`.
pub(super) const TOOL: Is = Is::With(&[
    needed("type", Is::OneOf(&["function"])),
    needed(
        "function",
        Is::With(&[
            needed("name", Is::Name),
            field("description", Is::Text),
            field("parameters", Is::Object),
            field("strict", Is::Flag),
        ]),
    ),
]);

/// In a `response_format`.
const SCHEMA: Is = Is::With(&[needed("schema", Is::Object)]);

pub(super) const fn passed(task: Task) -> [&'static [Field]; 2] {
    match task {
        Task::Chat => [CHAT, SAMPLING],
        Task::Completion => [COMPLETION, SAMPLING],
        Task::Embedding => [EMBEDDING, &[]],
    }
}

pub(super) const fn kept(task: Task) -> [&'static [Field]; 3] {
    match task {
        Task::Chat => [KEPT, KEPT_OF_TEXT, &[]],
        Task::Completion => [KEPT, KEPT_OF_TEXT, KEPT_OF_COMPLETION],
        Task::Embedding => [KEPT, &[], KEPT_OF_EMBEDDING],
    }
}

impl Field {
    /// # Errors
    ///
    /// Says what it must be.
    pub(super) fn check(&self, spot: &Spot<'_>) -> Result<(), ApiError> {
        if spot.value.is_null() && !self.is_needed { Ok(()) } else { self.is.check(spot) }
    }
}

impl Is {
    /// # Errors
    ///
    /// Says which part of it must be what.
    pub(super) fn check(self, spot: &Spot<'_>) -> Result<(), ApiError> {
        match self {
            Self::Each(is) if spot.value.is_array() => spot.items().try_for_each(|item| is.check(&item)),
            Self::With(fields) if spot.value.is_object() => {
                fields.iter().try_for_each(|field| field.check(&spot.field(field.name)))
            }
            Self::Format if spot.value.is_object() => {
                let kind = spot.field("type");
                Self::OneOf(&["text", "json_object", "json_schema"]).check(&kind)?;
                if kind.value == "json_schema" { SCHEMA.check(&spot.field("json_schema")) } else { Ok(()) }
            }
            leaf if leaf.fits(spot.value) => Ok(()),
            _ => Err(spot.wrong(&self.told())),
        }
    }

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
            // What of it is wrong was looked for.
            Self::Each(_) | Self::With(_) | Self::Format => false,
            Self::Texted => value.as_object().is_some_and(|texts| texts.values().all(Value::is_string)),
            Self::Name => value.as_str().is_some_and(|name| {
                let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
                (1..=64).contains(&name.len()) && name.bytes().all(is_fit)
            }),
            Self::Data => value.as_str().is_some_and(|url| url.starts_with("data:")),
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
            Self::List | Self::Each(_) => "an array".into(),
            Self::Object | Self::With(_) | Self::Format => "an object".into(),
            Self::Texted => "an object of strings".into(),
            Self::Name => "1 to 64 letters, digits, `_` or `-`".into(),
            Self::Data => "a `data:` URL: nothing is fetched".into(),
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
            let mut fields = passed(Task::Chat).into_iter().chain(kept(Task::Chat)).flatten();
            let field = fields.find(|field| field.name == name).unwrap();
            field.check(&Spot::of(name, &value)).map_err(|error| error.message)
        };
        for (name, good) in [
            ("temperature", json!(0)),
            ("temperature", json!(1.5)),
            ("seed", json!(-3)),
            ("stop", json!("a")),
            ("stop", json!(["a", "b"])),
            ("logit_bias", json!({ "7": -100 })),
            ("metadata", json!({ "a": "b" })),
            ("stream_options", json!({ "include_usage": null, "more": 1 })),
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
            ("user", json!(7), "a string"),
            ("store", json!("yes"), "true or false"),
            ("service_tier", json!("best"), "one of auto, default, flex, scale, priority, fast"),
            ("metadata", json!({ "a": 1 }), "an object of strings"),
            ("safety_identifier", json!({}), "a string"),
            ("prompt_cache_key", json!(1), "a string"),
            ("stream_options", json!(true), "an object"),
            ("max_tokens", json!(0), "an integer from 1 to 4294967295"),
        ] {
            assert_eq!(check(name, bad), Err(format!("`{name}` must be {must}.")));
        }
    }

    #[test]
    fn what_is_wrong_inside_a_field_is_told_by_its_whole_path() {
        let path =
            |is: Is, value: Value| is.check(&Spot::of("it", &value)).err().and_then(|error| error.param);
        let tool =
            |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": null } });
        assert_eq!(path(Is::Each(&TOOL), json!([tool("f"), tool("get-weather_2")])), None);
        for (is, value, wrong) in [
            (Is::Each(&TOOL), json!({}), "it"),
            (Is::Each(&TOOL), json!([tool("f"), tool("a b")]), "it[1].function.name"),
            (Is::Each(&TOOL), json!([tool(&"f".repeat(65))]), "it[0].function.name"),
            (Is::Each(&TOOL), json!([{ "type": "custom" }]), "it[0].type"),
            (Is::Each(&TOOL), json!([{ "type": "function" }]), "it[0].function"),
            (STREAM_OPTIONS, json!({ "include_usage": 1 }), "it.include_usage"),
            (Is::Each(&INCLUDED), json!(["message.output_text.logprobs", 5]), "it[1]"),
            (Is::Format, json!("json"), "it"),
            (Is::Format, json!({ "type": "yaml" }), "it.type"),
            (Is::Format, json!({ "type": "json_schema" }), "it.json_schema"),
            (Is::Format, json!({ "type": "json_schema", "json_schema": {} }), "it.json_schema.schema"),
        ] {
            assert_eq!(path(is, value.clone()).as_deref(), Some(wrong), "{value}");
        }
    }
}
