//! What a node's operator orders over the admin socket, and what `admin.rs` needs to answer what is only asked.

use serde_json::json;

use super::{Node, Room, admin};
use crate::http::{RequestHead, ResponseHead};
use crate::machine::StreamId;
use crate::node::cx::Cx;
use crate::provider::{Act, DisputeOrder};
use crate::time::Now;

const ORDERS: [&str; 3] = ["/claims/build", "/denials/clear", "/exposure/clear"];

impl Node {
    pub(super) fn admin_request(&mut self, now: Now, stream: StreamId, head: &RequestHead) {
        self.owners.adopt(stream, Room::Admin, None);
        if head.method == "POST" {
            return self.order(now, stream, head);
        }
        let (own, slots) = self.asked_here(now);
        let status = admin::Status {
            config: &self.config,
            born: self.being_born.is_none(),
            clock: (self.clocks.disagreement(now), self.clocks.peers()),
            labnet: &self.labnet,
            view: self.gossip.view(),
            equivocations: self.gossip.equivocations(),
            gateway: self.gateway.as_ref(),
            unpaid: self.unpaid.as_ref(),
            provider: self.provider.as_ref(),
            market: self.market.show(own, &slots),
        };
        self.admin.request(&mut cx!(self, now, Admin), &status, stream, head);
    }

    fn order(&mut self, now: Now, stream: StreamId, head: &RequestHead) {
        let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
        let named = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let conflict = |message: &str| (409, json!({ "error": { "code": "conflict", "message": message } }));
        let bad = |message: &str| (400, json!({ "error": { "code": "bad_request", "message": message } }));
        let act = path.strip_prefix("/receipts/").and_then(Act::named);
        let ordered = act.is_some() || ORDERS.contains(&path);
        let (status, body) = match (&mut self.provider, path) {
            (_, path) if !ordered => {
                let message = alloc::format!(
                    "no POST {path} here: try POST {}, or /receipts/write-off, /receipts/paid or /receipts/claim-again",
                    ORDERS.join(", ")
                );
                (404, json!({ "error": { "code": "not_found", "message": message } }))
            }
            (None, _) => conflict("this node is no provider: it earns nothing, and denies nobody"),
            (Some(provider), "/claims/build") => {
                let all = named("all").is_some_and(|all| all == "true");
                let mut cx = cx!(self, now, Provider);
                match cx.clock_is_wrong() {
                    true => conflict("this node's clock is wrong: nothing is claimed until it is set"),
                    false => (200, provider.build_claims(&mut cx, all)),
                }
            }
            (Some(provider), "/denials/clear") => {
                let cleared = provider.clear_denials(&mut cx!(self, now, Provider), named("id"));
                (200, json!({ "cleared": cleared }))
            }
            (Some(provider), "/exposure/clear") => match named("fep").filter(|fep| !fep.is_empty()) {
                Some(fep) => {
                    let cleared = provider.clear_exposure(&mut cx!(self, now, Provider), fep);
                    (200, json!({ "cleared": cleared }))
                }
                None => bad("say whose: ?fep= and how its id begins"),
            },
            (Some(provider), _) => match (act, named("id")) {
                (Some(act), Some(id)) if is_hex(id) => {
                    let order = DisputeOrder { stream, id: id.into(), act };
                    return provider.resolve(&mut cx!(self, now, Provider), order);
                }
                _ => bad("say which: ?id= and how the receipt's id begins, in hex"),
            },
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        cx!(self, now, Admin).respond_whole(stream, ResponseHead::json(status), body);
    }
}

fn is_hex(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
