//! A request, checked. What goes to a provider is rebuilt from an allow-list, never forwarded.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use super::spot::Spot;
use super::task::{Call, Task};
use super::{messages, responses, tools};
use crate::limits::{ECHOED, MODEL_NAME};
use crate::openai::error::ApiError;
use crate::routing::hints::Hints;

/// Fields whose promise nothing behind this gateway can keep.
const fn refused(task: Task) -> &'static [&'static str] {
    match task {
        Task::Chat => &[
            "audio",
            "modalities",
            "moderation",
            "web_search_options",
            "prediction",
            "functions",
            "function_call",
        ],
        Task::Completion => &["suffix"],
        Task::Embedding => &[],
    }
}

/// What asks for nothing: `null`, an empty text, or the modality that every model has.
fn asks_for_nothing(field: &str, value: &Value) -> bool {
    value.is_null() || *value == json!("") || field == "modalities" && *value == json!(["text"])
}

/// Some write whole numbers with a point.
fn as_integer(value: &mut Value) {
    /// Up to here each whole number is one.
    const EXACT: f64 = (1_u64 << 53) as f64;
    if let Some(number) = value.as_f64().filter(|_| value.is_f64())
        && number.abs() <= EXACT
        && libm::trunc(number) == number
    {
        *value = json!(number as i64);
    }
}

#[derive(Debug)]
pub struct Request {
    pub call: Call,
    pub task: Task,
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    /// What the user asked for at most, of each answer.
    pub max_output: Option<u32>,
    /// Names of fields that were left out.
    pub ignored: Vec<String>,
    pub echo: Echo,
    pub vectors: Vectors,
    /// What a response repeats of its request.
    pub repeated: Map<String, Value>,
    /// Whom to route it to.
    pub(crate) hints: Hints,
    body: Map<String, Value>,
}

/// What answers begin with, where prompts are to be repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    prompts: Vec<String>,
    /// To each of them.
    answers: u32,
}

impl Echo {
    /// What the answer of that number begins with.
    pub fn of(&self, answer: u32) -> &str {
        let prompt = answer.checked_div(self.answers).and_then(|at| self.prompts.get(at as usize));
        prompt.map_or("", String::as_str)
    }
}

/// How embeddings are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vectors {
    pub base64: bool,
    /// No more than so many, of unit length.
    pub dimensions: Option<u32>,
}

impl Request {
    /// # Errors
    ///
    /// Says what is wrong with it, and where.
    pub fn parse(call: Call, bytes: &[u8]) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            ApiError::new(400, None, format!("The request body is not valid JSON: {error}."))
        })?;
        let Value::Object(fields) = value else {
            return Err(ApiError::new(400, None, "The request body must be a JSON object."));
        };
        match call {
            Call::Response => {
                Self::checked(call, responses::as_chat(fields)?).map_err(responses::as_its_user_says)
            }
            Call::Chat | Call::Completion | Call::Embedding => {
                Self::checked(call, responses::AsChat::it_is(fields))
            }
        }
    }

    fn checked(call: Call, asked: responses::AsChat) -> Result<Self, ApiError> {
        let task = call.task();
        let responses::AsChat { mut fields, repeated, ignored: unknown } = asked;
        // What is nothing is left out: some runtimes take it for something wrong.
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(as_integer);
        let model = match fields.get("model") {
            Some(Value::String(model)) if (1..=MODEL_NAME).contains(&model.len()) => model.clone(),
            Some(_) => {
                let message = format!("`model` must be a string of 1 to {MODEL_NAME} bytes.");
                return Err(ApiError::bad_param("model", message));
            }
            None => return Err(ApiError::bad_param("model", "You must provide a `model`.")),
        };
        let unsupported = refused(task);
        let asks = |field: &&&str| fields.get(**field).is_some_and(|value| !asks_for_nothing(field, value));
        if let Some(field) = unsupported.iter().find(asks) {
            let hint = if field.starts_with("function") { ": use `tools`" } else { "" };
            let message = format!("`{field}` is not supported by this gateway{hint}.");
            return Err(ApiError::bad_param(*field, message));
        }
        if task == Task::Chat {
            as_templates_know_roles(&mut fields);
        }
        for (name, value) in &fields {
            if let Some(field) = task.kept(name) {
                field.check(&Spot::of(name, value))?;
            }
        }
        if let (Task::Chat, Some(messages)) = (task, fields.get("messages")) {
            messages::check_written(messages)?;
        }
        task.check(&fields)?;
        let options = fields.get("stream_options");
        let include_usage = options.and_then(|options| options.get("include_usage")) == Some(&json!(true));
        let max_output = task.output_each().or_else(|| {
            let said = count(&fields, "max_completion_tokens").or_else(|| count(&fields, "max_tokens"));
            said.or(task.usual_output())
        });
        let stream = task.streams() && is_set(&fields, "stream");
        let hints = Hints::parse(fields.get("provider"))?;
        let echo = echo(task, &fields)?;
        if task == Task::Completion
            && let Some(best) = count(&fields, "best_of")
            && u64::from(best) != fields.get("n").and_then(Value::as_u64).unwrap_or(1)
        {
            return Err(ApiError::bad_param("best_of", "`best_of` must be `n`: all answers are given."));
        }
        let vectors = match task {
            Task::Chat | Task::Completion => Vectors::default(),
            Task::Embedding => Vectors {
                base64: fields.get("encoding_format") == Some(&json!("base64")),
                dimensions: count(&fields, "dimensions"),
            },
        };
        let (mut body, mut ignored) = (Map::new(), unknown);
        for (name, value) in fields {
            if let Some(field) = task.passed(&name) {
                field.check(&Spot::of(&name, &value))?;
                body.insert(name, value);
            } else if task.kept(&name).is_none() && !unsupported.contains(&name.as_str()) {
                ignored.push(name);
            }
        }
        if task == Task::Chat {
            tools::choose(&mut body)?;
            if body.get("top_logprobs") == Some(&json!(0)) && !body.contains_key("logprobs") {
                body.remove("top_logprobs");
            }
            if body.contains_key("top_logprobs") && body.get("logprobs") != Some(&json!(true)) {
                let message = "`top_logprobs` are given with `logprobs: true` only.";
                return Err(ApiError::bad_param("top_logprobs", message));
            }
        }
        // They go into a response header.
        let in_header =
            |name: String| name.chars().filter(|c| c.is_ascii_graphic() && *c != ',').take(64).collect();
        let ignored: Vec<String> = ignored.into_iter().take(32).map(in_header).collect();
        if let (true, Some(field)) = (hints.require_parameters, ignored.first()) {
            let message =
                format!("Nobody here serves `{field}`, and `provider.require_parameters` asks for all.");
            return Err(ApiError::bad_param(field.clone(), message));
        }
        Ok(Self {
            call,
            task,
            model,
            stream,
            include_usage,
            max_output,
            ignored,
            echo,
            vectors,
            repeated,
            hints,
            body,
        })
    }

    pub fn input_bound(&self) -> u32 {
        self.task.input_bound(&self.body)
    }

    /// Of what a model must have in its context at once.
    pub(crate) fn longest(&self) -> u32 {
        self.task.longest(&self.body)
    }

    /// Parts that a runtime is asked for one after another, each with as much output as the user asked for.
    pub fn parts(&self) -> u32 {
        self.task.parts(&self.body)
    }

    /// Choices or vectors of the answer.
    pub fn answers(&self) -> u32 {
        self.task.answers(&self.body)
    }

    /// Names the conversation: what stands before its first answer, which stays as it grows.
    pub(crate) fn head(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.model.as_bytes());
        let about = self.body.get(self.task.field());
        let messages = about.and_then(Value::as_array).filter(|_| self.task == Task::Chat);
        if let Some(about) = about.filter(|_| self.task != Task::Chat) {
            hasher.update(&serde_json::to_vec(about).unwrap_or_default());
        }
        for message in messages.into_iter().flatten().take_while(|message| !is_answer(message)) {
            hasher.update(&serde_json::to_vec(message).unwrap_or_default());
        }
        let (head, _) = hasher
            .finalize()
            .as_bytes()
            .split_first_chunk()
            .map_or((0, &[][..]), |(head, rest)| (u64::from_be_bytes(*head), rest));
        head
    }

    /// Some of it was answered before.
    pub(crate) fn continues(&self) -> bool {
        let messages = self.body.get("messages").and_then(Value::as_array);
        messages.into_iter().flatten().any(is_answer)
    }

    pub(crate) fn output(&self) -> Output {
        let (asked, each) = (self.max_output, self.task.output_each());
        Output { longest: self.longest(), asked, each, parts: self.parts() }
    }

    /// It may have room in such a context.
    pub(crate) fn fits(&self, context_length: u32) -> bool {
        may_fit(self.longest(), context_length)
    }

    /// The body for a runtime: a stream, with a bound, where the task has them. `max_output`: of all parts together.
    pub(crate) fn as_sent(&self, max_output: u32) -> Value {
        let mut body = self.body.clone();
        if self.task.streams() {
            body.insert("stream".into(), json!(true));
            body.insert("max_tokens".into(), json!((max_output / self.parts()).max(1)));
        }
        Value::Object(body)
    }

    /// The same as bytes, for a provider.
    pub fn for_provider(&self, max_output: u32) -> Vec<u8> {
        serde_json::to_vec(&self.as_sent(max_output)).unwrap_or_default()
    }
}

/// What an answer may be of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Of what a model must have in its context at once.
    pub(crate) longest: u32,
    /// By the user, and by the task itself, of each part.
    pub(crate) asked: Option<u32>,
    pub(crate) each: Option<u32>,
    pub(crate) parts: u32,
}

impl Output {
    /// The most tokens of all parts together, at a model of that context that gives no more than `most` of each. Where the user named
    /// no bound: what the context leaves, because some runtimes refuse more; a prompt that may fill the context by its bound
    /// will hardly do so by its tokens, so never less than a quarter.
    pub(crate) fn most(self, context_length: u32, most: u32) -> u32 {
        let left = context_length.saturating_sub(self.longest).max(context_length / 4);
        let each = self.each.unwrap_or_else(|| self.asked.unwrap_or(left).min(most).max(1));
        each.saturating_mul(self.parts)
    }
}

/// Bytes of a prompt for each token, at least: a prompt with more than this for each token of a model's context has no room
/// in it.
const BYTES_PER_TOKEN: u32 = 8;

/// Has a prompt of so many bytes room in such a context, for all that is known of it?
pub(crate) const fn may_fit(longest: u32, context_length: u32) -> bool {
    longest / BYTES_PER_TOKEN <= context_length
}

/// A body as a provider gets it from a gateway: what it may cost at most.
#[derive(Debug)]
pub struct JobBody {
    pub task: Task,
    pub body: Value,
    pub input_bound: u32,
    /// Of all its parts together, and of each.
    pub max_output: u32,
    pub max_output_each: u32,
}

impl JobBody {
    /// Checks what a gateway must have checked: the other end of a link is not believed.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
            return Err("the body is not a JSON object");
        };
        let task = Task::of(&body).ok_or("the body must have one of messages, prompt and input")?;
        let allowed = |name: &str| {
            task.passed(name).is_some() || task.streams() && (name == "stream" || name == "max_tokens")
        };
        if !body.keys().all(|name| allowed(name)) {
            return Err("the body has a field that is not allowed");
        }
        task.check(&body).map_err(|_| "the body asks for something malformed")?;
        let said = || body.get("max_tokens").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let max_output_each = task.output_each().or_else(said);
        let max_output_each = max_output_each.filter(|n| *n > 0).ok_or("max_tokens is missing")?;
        let max_output = max_output_each.saturating_mul(task.parts(&body));
        let input_bound = task.input_bound(&body);
        Ok(Self { task, body: Value::Object(body), input_bound, max_output, max_output_each })
    }
}

/// A template of a chat that knows no `developer` would refuse the whole.
fn as_templates_know_roles(fields: &mut Map<String, Value>) {
    let messages = fields.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten();
    for role in
        messages.filter_map(|message| message.get_mut("role")).filter(|role| **role == json!("developer"))
    {
        *role = json!("system");
    }
}

fn is_answer(message: &Value) -> bool {
    message.get("role").and_then(Value::as_str) == Some("assistant")
}

fn echo(task: Task, fields: &Map<String, Value>) -> Result<Echo, ApiError> {
    if task != Task::Completion || !is_set(fields, "echo") {
        return Ok(Echo::default());
    }
    if fields.get("logprobs").is_some_and(|logprobs| !logprobs.is_null()) {
        return Err(ApiError::bad_param("logprobs", "`logprobs` of an echoed prompt are not supported."));
    }
    let Some((prompts, answers)) = Task::prompts_as_texts(fields) else {
        return Err(ApiError::bad_param("echo", "A prompt of tokens can't be echoed: send it as text."));
    };
    let bytes = prompts.iter().map(|prompt| prompt.len()).sum::<usize>().saturating_mul(answers as usize);
    if bytes > ECHOED {
        let message = format!("The echoes would come to {bytes} bytes, and {ECHOED} are the most.");
        return Err(ApiError::bad_param("echo", message));
    }
    Ok(Echo { prompts: prompts.into_iter().map(String::from).collect(), answers })
}

fn is_set(fields: &Map<String, Value>, name: &str) -> bool {
    fields.get(name) == Some(&json!(true))
}

/// It was checked.
fn count(fields: &Map<String, Value>, name: &str) -> Option<u32> {
    fields.get(name).and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_bound_of_the_users_the_context_sets_it() {
        let most = |longest, asked| Output { longest, asked, each: None, parts: 1 }.most(2_048, 2_048);
        assert_eq!(most(148, None), 1_900);
        assert_eq!(most(9_000, None), 512);
        assert_eq!(most(148, Some(10)), 10);
        assert_eq!(most(148, Some(1_000_000)), 2_048);
    }

    fn refused(body: &str) -> ApiError {
        Request::parse(Call::Chat, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_wrong_body_is_refused_where_it_is_wrong() {
        assert!(refused("{\"model\": ").message.contains("line 1 column"));
        assert_eq!(refused(r#"{"messages": []}"#).param.as_deref(), Some("model"));
        assert_eq!(refused(r#"{"model": "m", "messages": []}"#).param.as_deref(), Some("messages"));
        let with = |field: &str| {
            format!(r#"{{"model": "m", "messages": [{{"role": "user", "content": "x"}}], {field}}}"#)
        };
        assert_eq!(refused(&with(r#""n": 0"#)).param.as_deref(), Some("n"));
        assert_eq!(refused(&with(r#""stream": "yes""#)).param.as_deref(), Some("stream"));
        assert_eq!(refused(&with(r#""max_tokens": -1"#)).param.as_deref(), Some("max_tokens"));
        assert_eq!(refused(&with(r#""user": 7"#)).param.as_deref(), Some("user"));
        let usage = refused(&with(r#""stream_options": {"include_usage": 1}"#));
        assert_eq!(usage.param.as_deref(), Some("stream_options.include_usage"));
        let image = r#"{"model": "m", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "http://10.0.0.1/x.png"}}]}]}"#;
        assert_eq!(refused(image).param.as_deref(), Some("messages[0].content[0].image_url.url"));
    }

    #[test]
    fn what_concerns_only_the_user_never_reaches_a_provider() {
        let body = br#"{"model": "m", "messages": [{"role": "user", "content": "x"}], "user": "ann",
            "metadata": {"a": "b"}, "top_k": 4, "frobnicate": 1}"#;
        let request = Request::parse(Call::Chat, body).unwrap();
        let sent: Value = serde_json::from_slice(&request.for_provider(9)).unwrap();
        assert_eq!(
            sent,
            json!({"messages": [{"role": "user", "content": "x"}], "top_k": 4, "stream": true, "max_tokens": 9})
        );
        assert_eq!(request.ignored, ["frobnicate"]);
    }

    #[test]
    fn a_completion_s_prompt_is_repeated_by_the_gateway() {
        let parse = |fields: Value| {
            let mut body = json!({ "model": "m" });
            body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Request::parse(Call::Completion, &serde_json::to_vec(&body).unwrap())
        };
        let request = parse(json!({ "prompt": ["a", "b"], "n": 2, "best_of": 2, "echo": true })).unwrap();
        assert_eq!([0, 1, 2, 3, 4].map(|answer| request.echo.of(answer)), ["a", "a", "b", "b", ""]);
        assert_eq!((request.parts(), request.answers()), (4, 4));
        let sent: Value = serde_json::from_slice(&request.for_provider(40)).unwrap();
        assert_eq!(sent, json!({ "prompt": ["a", "b"], "n": 2, "stream": true, "max_tokens": 10 }));
        let param = |fields| parse(fields).unwrap_err().param;
        assert_eq!(param(json!({ "prompt": [1], "echo": true })).as_deref(), Some("echo"));
        assert_eq!(param(json!({ "prompt": "a", "echo": true, "logprobs": 1 })).as_deref(), Some("logprobs"));
        assert_eq!(param(json!({ "prompt": "a", "best_of": 2 })).as_deref(), Some("best_of"));
        assert_eq!(param(json!({ "prompt": "a", "suffix": "b" })).as_deref(), Some("suffix"));
    }

    #[test]
    fn how_vectors_are_written_is_the_gateway_s() {
        let body = br#"{"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 2, "stream": true}"#;
        let request = Request::parse(Call::Embedding, body).unwrap();
        assert_eq!(request.vectors, Vectors { base64: true, dimensions: Some(2) });
        assert!(!request.stream);
        assert_eq!(request.for_provider(1), br#"{"input":["a","b"]}"#);
        let job = JobBody::parse(&request.for_provider(1)).unwrap();
        assert_eq!((job.task, job.max_output), (Task::Embedding, 16));
    }

    #[test]
    fn both_ends_bound_the_input_alike() {
        let body = br#"{"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f"}}]}"#;
        let request = Request::parse(Call::Chat, body).unwrap();
        let job = JobBody::parse(&request.for_provider(7)).unwrap();
        assert_eq!((job.input_bound, job.max_output), (request.input_bound(), 7));
    }
}
