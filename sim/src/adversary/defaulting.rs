//! A portal that has no money any more: it authorizes jobs and signs receipts as before, and from a moment on pays no claim. Its
//! scenario says when (`defaults_at`).
//!
//! What must hold: nobody can make it pay; a provider goes on asking, and works for it until it is owed what it lets it owe, and then no
//! more. All that it signs is true, so that its books and theirs agree about what it owes.

use labman_proto_core::http::ResponseHead;
use labman_proto_core::wire::portal::{PortalError, PortalErrorBody, PortalErrorCode};

use super::hand::Hand;
use super::strategy::{Letter, Strategy};
use crate::threats;

#[derive(Default)]
pub(super) struct Defaulting;

impl Strategy for Defaulting {
    fn asked(&mut self, hand: &mut Hand, path: &str) -> Option<Letter> {
        if path != "/v1/claims" || !hand.party.deeds.has_turned() {
            return None;
        }
        hand.tried(threats::FEP_CLAIMS);
        let (code, message) = (PortalErrorCode::Unavailable, "come again".into());
        let body = serde_json::to_vec(&PortalError { error: PortalErrorBody { code, message } });
        let mut letter = Letter::answer(path.into(), ResponseHead::json(503).with("content-length", "0"));
        letter.body = body.unwrap_or_default();
        Some(letter)
    }
}
