//! Which request an id stands for, and what a node id is called.
//!
//! Authorization and receipt ids derive from the request's, so they are known from the moment a gateway asks.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::identity::{FepId, NodeId};
use labman_proto_core::wire::ids::{AuthId, ReceiptId, RequestId};

/// Attempts of an authorization.
const ATTEMPTS: u8 = 3;

#[derive(Default)]
pub(super) struct Names {
    /// By id, in hex: the request's id.
    requests: BTreeMap<String, String>,
    nodes: BTreeMap<NodeId, String>,
}

impl Names {
    pub(super) fn node(&mut self, id: NodeId, name: &str) {
        self.nodes.insert(id, name.to_owned());
    }

    pub(super) fn node_name(&self, id: NodeId) -> String {
        self.nodes.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    pub(super) fn request(&mut self, id: RequestId) -> Vec<String> {
        self.requests.insert(id.to_string(), id.to_string());
        vec![id.to_string()]
    }

    /// A gateway asks a FEP for an authorization.
    pub(super) fn asked(&mut self, fep: FepId, gateway: NodeId, request: RequestId) -> Vec<String> {
        let auth = AuthId::of(fep, gateway, request);
        self.requests.insert(auth.to_string(), request.to_string());
        for attempt in 0..ATTEMPTS {
            self.requests.insert(ReceiptId::of(fep, auth, attempt).to_string(), request.to_string());
        }
        self.request(request)
    }

    pub(super) fn about(&self, id: &str) -> Option<String> {
        self.requests.get(id).cloned()
    }

    /// The requests that a text names, by whatever id.
    pub(super) fn in_text(&mut self, text: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).peekable();
        while let Some(word) = words.next() {
            if let ("req", Some(id)) = (word, words.peek().filter(|id| is_id(id))) {
                self.requests.insert((*id).to_owned(), (*id).to_owned());
            }
            found.extend(self.about(word));
        }
        found.into_iter().collect()
    }

    /// A row of a gateway's jobs is about the request that is its key.
    pub(super) fn job_row(&mut self, key: &str) {
        if is_id(key) {
            self.requests.insert(key.to_owned(), key.to_owned());
        }
    }
}

fn is_id(word: &str) -> bool {
    word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}
