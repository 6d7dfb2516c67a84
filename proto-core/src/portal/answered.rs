//! `Idempotency-Key` on the operator's calls: who does not know whether a call was heard makes it again under the same key.
//!
//! A key belongs to one operation (and its caller, of whom there is one: the operator). The answer is stored in the batch
//! that it is about, but for what is shown once. A refusal decided nothing, so it is not stored, and the key is still free.

use alloc::string::String;

use crate::http::Surface;
use crate::store::{Row, Write};
use crate::time::Now;
use crate::wire::ids::Hash;

use super::admin::must_be_text;
use super::answer::{Answer, Refused, Step, Stepped};
use super::exchanges::Call;
use super::routes::{self, Gives};
use super::rows::{ANSWERED, AnsweredRow};

const HEADER: &str = "idempotency-key";

/// A call under a key, until its answer is stored with what it decides.
pub(super) struct Keyed {
    pub(super) row: String,
    digest: Hash,
    shown_once: Option<&'static str>,
}

/// `None`: the call has no key, or needs none.
pub(super) fn keyed(call: &Call) -> Result<Option<Keyed>, Refused> {
    let operator_posts = call.surface == Surface::Admin && call.head.method == "POST";
    let Some(key) = call.head.header(HEADER).filter(|_| operator_posts) else { return Ok(None) };
    must_be_text("idempotency-key", key)?;
    let shown_once = match routes::find(call)?.gives {
        Gives::Secret(_, name) => Some(name),
        Gives::Json(_) | Gives::Object(_) | Gives::ObjectOrNothing(_) | Gives::Document => None,
    };
    let row = alloc::format!("{} {key}", call.path());
    Ok(Some(Keyed { row, digest: digest(&call.body), shown_once }))
}

/// What was said before to a call under the same key.
pub(super) fn again(body: &[u8], before: AnsweredRow) -> Stepped {
    match before.digest == digest(body) {
        true => Ok(Step::Again(Answer::Json { status: 200, body: before.answer.into_bytes() })),
        false => Err(Refused::conflict("this idempotency key was used for a call with another body")),
    }
}

/// The row that remembers an answer. `None`: it was a refusal.
pub(super) fn remember(keyed: &Keyed, answer: &Answer, now: Now) -> Option<Write> {
    let Answer::Json { status: 200, body } = answer else { return None };
    let mut answer = String::from_utf8(body.clone()).ok()?;
    if let Some(name) = keyed.shown_once {
        let mut value: serde_json::Value = serde_json::from_str(&answer).ok()?;
        value.as_object_mut()?.remove(name);
        answer = alloc::format!("{value}");
    }
    let row = AnsweredRow { digest: keyed.digest, answer, at_ms: now.wall.0 };
    Some(Write::Insert(ANSWERED, Row::json(keyed.row.clone(), &row)))
}

fn digest(body: &[u8]) -> Hash {
    Hash(*blake3::hash(body).as_bytes())
}
