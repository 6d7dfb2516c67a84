//! A user gets exactly what the runtime produced for their request: a prefix of it, whole if it is said to be complete,
//! nothing twice, nothing of anybody else's, nothing after the end.

use labman_proto_core::toy::Completion;
use serde_json::Value;

use crate::users::Answer;

/// What is wrong with the answer to a request; `produced` is what the runtime makes of that request.
pub fn check(request: &Value, streaming: bool, answer: &Answer, produced: &Completion) -> Vec<String> {
    let mut found = check_shape(streaming, answer);
    let text = produced.text();
    if !text.starts_with(&answer.text) {
        found.push(format!("the text {:?} is no prefix of {text:?}", answer.text));
    }
    if answer.finish_reason.is_some() {
        check_complete(request, answer, produced, &text, &mut found);
    }
    found
}

/// What is wrong with an answer, whoever made its text.
pub fn check_shape(streaming: bool, answer: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(garbage) = &answer.garbage {
        found.push(format!("the answer holds {garbage}"));
    }
    if answer.status != 200 && answer.error_code.is_none() && answer.status != 0 && !answer.broken {
        found.push(format!("HTTP {} says no error", answer.status));
    }
    if answer.status != 200 && !answer.text.is_empty() {
        found.push(format!("HTTP {} came with text", answer.status));
    }
    let ended = answer.finish_reason.is_some();
    if ended && answer.error_code.is_some() {
        found.push("the answer both finished and failed".into());
    }
    // What breaks off is judged by whoever knows why it might.
    if answer.status == 200 && !answer.broken {
        match (ended, answer.error_code.is_some()) {
            (true, _) if streaming && !answer.done => found.push("the stream finished without [DONE]".into()),
            (false, false) => found.push("the answer ended in silence: no finish_reason, no error".into()),
            (true | false, _) => {}
        }
    }
    found
}

fn check_complete(
    request: &Value,
    answer: &Answer,
    produced: &Completion,
    text: &str,
    found: &mut Vec<String>,
) {
    let reason = serde_json::to_value(produced.finish_reason).unwrap_or_default();
    let bounded = request.get("max_tokens").is_some();
    // Where the user set no bound, the mesh does: then the answer may be shorter, and says so.
    if !bounded && answer.finish_reason.as_deref() == Some("length") {
        return;
    }
    if answer.text != text {
        found.push(format!("a complete answer has {} of {} bytes", answer.text.len(), text.len()));
    }
    if answer.finish_reason.as_deref() != reason.as_str() {
        found.push(format!("finish_reason is {:?}, not {reason}", answer.finish_reason));
    }
    let counts = [
        ("prompt_tokens", answer.prompt_tokens, produced.prompt_tokens),
        ("completion_tokens", answer.completion_tokens, produced.tokens.len()),
    ];
    for (name, stated, produced) in counts {
        if stated.is_some_and(|stated| stated != produced as u64) {
            found.push(format!("{name} is {stated:?}, not {produced}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::toy;
    use serde_json::json;

    fn request() -> Value {
        json!({"model": "m", "messages": [{"role": "user", "content": "the lantern"}], "max_tokens": 12})
    }

    fn produced() -> Completion {
        toy::completion(&request()).unwrap()
    }

    fn whole() -> Answer {
        let produced = produced();
        let reason = serde_json::to_value(produced.finish_reason).unwrap();
        Answer {
            status: 200,
            text: produced.text(),
            finish_reason: reason.as_str().map(str::to_owned),
            completion_tokens: Some(produced.tokens.len() as u64),
            done: true,
            ..Answer::default()
        }
    }

    fn found(change: impl FnOnce(&mut Answer)) -> Vec<String> {
        let mut answer = whole();
        change(&mut answer);
        check(&request(), true, &answer, &produced())
    }

    #[test]
    fn an_exact_answer_passes_and_so_does_a_prefix_that_says_it_failed() {
        assert_eq!(found(|_| {}), Vec::<String>::new());
        let broken_off = found(|answer| {
            answer.text.truncate(5);
            (answer.finish_reason, answer.done) = (None, false);
            answer.error_code = Some("provider_lost".into());
        });
        assert_eq!(broken_off, Vec::<String>::new());
    }

    #[test]
    fn who_leaves_between_the_finish_and_done_has_missed_nothing() {
        assert_eq!(found(|answer| (answer.done, answer.broken) = (false, true)), Vec::<String>::new());
    }

    #[test]
    fn an_answer_that_is_no_stream_must_end_or_fail_as_well() {
        let found = |answer: Answer| check(&request(), false, &answer, &produced());
        assert_eq!(found(Answer { done: false, ..whole() }), Vec::<String>::new());
        let silent = Answer { finish_reason: None, text: String::new(), ..whole() };
        assert!(found(silent)[0].contains("silence"));
    }

    #[test]
    fn every_way_of_being_wrong_is_found() {
        type Change = Box<dyn FnOnce(&mut Answer)>;
        let all: [(&str, Change); 7] = [
            ("no prefix", Box::new(|a| a.text.insert(3, '!'))),
            ("bytes", Box::new(|a| a.text.truncate(4))),
            ("silence", Box::new(|a| (a.finish_reason, a.done) = (None, false))),
            ("without [DONE]", Box::new(|a| a.done = false)),
            ("holds something", Box::new(|a| a.garbage = Some("something after [DONE]".into()))),
            ("completion_tokens", Box::new(|a| a.completion_tokens = Some(99))),
            ("finished and failed", Box::new(|a| a.error_code = Some("x".into()))),
        ];
        for (what, change) in all {
            let found = found(change);
            assert!(found.iter().any(|line| line.contains(what)), "{what}: {found:?}");
        }
    }
}
