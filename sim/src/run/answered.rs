//! What is kept of an answer once it was looked at: a run may have millions of them.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::time::Span;

use crate::check::ledger::Called;
use crate::name::{Name, Names};
use crate::users::Answer;

pub(super) struct Answered {
    /// 0: there was no answer at all.
    pub(super) status: u16,
    /// The connection broke.
    pub(super) broken: bool,
    /// The answer's `x-request-id`, without its `req_`.
    pub(super) request_id: Option<Called>,
    /// Who served it, as its gateway says.
    pub(super) provider: Option<Name>,
    pub(super) text: Box<str>,
    pub(super) finish_reason: Option<Name>,
    pub(super) error_code: Option<Name>,
    pub(super) prompt_tokens: Option<u64>,
    pub(super) completion_tokens: Option<u64>,
    pub(super) chunks: u64,
    pub(super) first_text_after: Option<Span>,
    pub(super) took: Span,
}

impl Answered {
    pub(super) fn of(answer: Answer, nodes: &BTreeMap<NodeId, Name>, said: &mut Names) -> Self {
        let mut known = |text: Option<String>| text.map(|text| said.known(&text));
        Self {
            status: answer.status,
            broken: answer.broken,
            request_id: answer.request_id.as_deref().map(Called::from),
            provider: answer.provider.and_then(|node| nodes.get(&node).cloned()),
            text: answer.text.into(),
            finish_reason: known(answer.finish_reason),
            error_code: known(answer.error_code),
            prompt_tokens: answer.prompt_tokens,
            completion_tokens: answer.completion_tokens,
            chunks: answer.chunks,
            first_text_after: answer.first_text_after,
            took: answer.took,
        }
    }
}
