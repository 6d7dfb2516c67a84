//! What a node's operator orders over the admin socket. What only looks is in `admin.rs`.

use serde_json::json;

use super::{Node, Room};
use crate::http::{RequestHead, ResponseHead};
use crate::machine::StreamId;
use crate::node::cx::Cx;
use crate::time::Now;

impl Node {
    pub(super) fn order(&mut self, now: Now, stream: StreamId, head: &RequestHead) {
        let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
        let named = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let (status, body) = match (&mut self.provider, path) {
            (None, "/denials/clear" | "/claims/build") => {
                let message = "this node is no provider: it claims nothing, and denies nobody";
                (409, json!({ "error": { "code": "conflict", "message": message } }))
            }
            (Some(provider), "/claims/build") => {
                let all = named("all").is_some_and(|all| all == "true");
                (200, provider.build_claims(&mut cx!(self, now, Provider), all))
            }
            (Some(provider), "/denials/clear") => {
                let cleared = provider.clear_denials(&mut cx!(self, now, Provider), named("id"));
                (200, json!({ "cleared": cleared }))
            }
            _ => {
                let message = alloc::format!("no POST {path} here: try POST /claims/build or /denials/clear");
                (404, json!({ "error": { "code": "not_found", "message": message } }))
            }
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        cx!(self, now, Admin).respond_whole(stream, ResponseHead::json(status), body);
    }
}
