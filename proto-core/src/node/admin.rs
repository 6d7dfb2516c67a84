//! What a node tells its operator, as JSON over the admin socket.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::config::Config;
use super::cx::Cx;
use crate::gateway::{Gateway, Unpaid};
use crate::gossip::View;
use crate::http::{RequestHead, ResponseHead};
use crate::labnet::Labnet;
use crate::limits::EXPLAINED;
use crate::machine::{Completion, OpId, StreamId};
use crate::provider::{
    By, CLAIMS, ClaimRow, Open, Provider, RECEIPTS_OPEN, RECEIPTS_PAID, ReceiptRow, Receipts, show_claim,
    show_payout, show_receipt,
};
use crate::store::{Range, Row, Table};
use crate::time::{Time, Wall};
use crate::wire::ids::RequestId;

/// Rows of history an answer holds at most.
const MOST_ROWS: usize = 1_000;
/// Claims that are read at a time: each has a line for each of its receipts.
const CLAIMS_AT_ONCE: usize = 10;

pub(super) struct Admin {
    started: Time,
    reading: BTreeMap<OpId, Reading>,
}

/// An answer that waits for a page of history.
struct Reading {
    stream: StreamId,
    limit: usize,
    what: What,
}

enum What {
    /// Receipts that are not paid.
    Open,
    /// Those that are, behind these.
    Paid(Vec<ReceiptRow>),
    Claims(Past),
}

/// What is told of claims, as far as they have been read.
struct Past {
    name: &'static str,
    show: fn(&ClaimRow) -> Option<Value>,
    /// First those that were open when it was asked.
    told: Vec<Value>,
    open: usize,
    /// Rows that were read, and from where to read on.
    read: usize,
    from: String,
}

impl Past {
    const fn new(name: &'static str, open: Vec<Value>, show: fn(&ClaimRow) -> Option<Value>) -> Self {
        Self { name, show, open: open.len(), told: open, read: 0, from: String::new() }
    }

    /// `false`: that was all, or enough.
    fn goes_on(&mut self, rows: &[Row], limit: usize) -> bool {
        for told in parsed(CLAIMS, rows).iter().filter_map(self.show) {
            // One that was decided between the two looks is told as the first saw it.
            if !self.told[..self.open].iter().any(|open| open["claim_id"] == told["claim_id"]) {
                self.told.push(told);
            }
        }
        self.read += rows.len();
        if let Some(last) = rows.last() {
            self.from = format!("{}\0", last.key);
        }
        rows.len() == CLAIMS_AT_ONCE && self.read < MOST_ROWS && self.told.len() <= limit
    }
}

/// The rooms, as far as they can be seen.
pub(super) struct Status<'a> {
    pub(super) config: &'a Config,
    pub(super) born: bool,
    /// How far our clock is ahead of our peers', where that is too much, and how many they are.
    pub(super) clock: (Option<i64>, usize),
    pub(super) labnet: &'a Labnet,
    pub(super) view: &'a View,
    pub(super) equivocations: usize,
    pub(super) gateway: Option<&'a Gateway>,
    pub(super) unpaid: Option<&'a Unpaid>,
    pub(super) provider: Option<&'a Provider>,
    pub(super) market: Value,
}

/// What is in memory because decisions need it.
pub(super) struct Known {
    /// Receipts that are not paid.
    open: usize,
    /// Jobs whose receipt has not come yet, and since when the first of them.
    awaited: usize,
    awaited_since: Option<Wall>,
}

impl Known {
    pub(super) fn of(provider: &Option<Provider>) -> Self {
        let Some(provider) = provider else {
            return Self { open: 0, awaited: 0, awaited_since: None };
        };
        let receipts = provider.receipts();
        let Open { unclaimed, in_claim, disputed, written_off } = receipts.open();
        let all = unclaimed + in_claim + disputed + written_off;
        Self {
            open: usize::try_from(all).unwrap_or(usize::MAX),
            awaited: receipts.missing(),
            awaited_since: receipts.awaited_since(),
        }
    }
}

impl Admin {
    pub(super) const fn new(now: Time) -> Self {
        Self { started: now, reading: BTreeMap::new() }
    }

    pub(super) fn request(
        &mut self,
        cx: &mut Cx<'_>,
        status: &Status<'_>,
        stream: StreamId,
        head: &RequestHead,
    ) {
        let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
        let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit="));
        let limit = limit.and_then(|limit| limit.parse().ok()).unwrap_or(100).clamp(1, MOST_ROWS);
        match (head.method.as_str(), path) {
            ("GET", "/status") => {
                let mut body = self.status(cx, status);
                if !query.split('&').any(|part| part == "brief") {
                    show_mesh(&mut body, status);
                }
                answer(cx, stream, 200, &body);
            }
            ("GET", "/market") => answer(cx, stream, 200, &status.market),
            ("GET", "/plan") => {
                let plan = status.provider.map(|provider| provider.hosting_plan(cx.now.mono));
                answer(cx, stream, 200, &plan.unwrap_or_else(|| json!({ "endpoints": [] })));
            }
            ("GET", "/explain") => {
                let asked =
                    query.split('&').find_map(|pair| pair.strip_prefix("request=")).unwrap_or_default();
                let id: Option<RequestId> = asked.trim_start_matches("req_").parse().ok();
                match id.and_then(|id| status.gateway?.explain(id)) {
                    Some(told) => answer(cx, stream, 200, &told),
                    None => {
                        let message = format!(
                            "nothing is remembered of {asked:?}: name a request by its x-request-id; the last {EXPLAINED} of this \
                             node's gateway are remembered, while it runs"
                        );
                        let error = json!({ "error": { "code": "not_found", "message": message } });
                        answer(cx, stream, 404, &error);
                    }
                }
            }
            ("GET", "/exposure") => {
                let exposures = status.provider.map(Provider::exposures).unwrap_or_default();
                answer(cx, stream, 200, &json!({ "feps": exposures }));
            }
            ("GET", "/denials") => {
                let denials = status.provider.map(|provider| provider.denials(cx.now.wall));
                answer(cx, stream, 200, &json!({ "denials": denials.unwrap_or_default() }));
            }
            ("GET", "/earnings") => {
                let by = query.split('&').find_map(|pair| pair.strip_prefix("by=")).unwrap_or("day");
                let Some(by) = By::named(by) else {
                    let message = format!("no earnings by {by:?}: write by=model, by=day or by=fep");
                    let error = json!({ "error": { "code": "bad_request", "message": message } });
                    return answer(cx, stream, 400, &error);
                };
                let none = json!({ "earnings": [] });
                answer(cx, stream, 200, &status.provider.map_or(none, |provider| provider.earnings(by)));
            }
            ("GET", "/receipts") => self.read(cx, Reading { stream, limit, what: What::Open }),
            ("GET", "/claims") => {
                let open = status.provider.into_iter().flat_map(|provider| provider.claims().open());
                let past = Past::new("claims", open.map(show_claim).collect(), |row| Some(show_claim(row)));
                self.read(cx, Reading { stream, limit, what: What::Claims(past) });
            }
            ("GET", "/payouts") => {
                let past = Past::new("payouts", Vec::new(), show_payout);
                self.read(cx, Reading { stream, limit, what: What::Claims(past) });
            }
            _ => {
                let message = format!(
                    "no {} {path} here: try GET /status, /market, /plan, /explain, /receipts, /claims, /payouts, /exposure, /denials or \
                     /earnings",
                    head.method
                );
                answer(cx, stream, 404, &json!({ "error": { "code": "not_found", "message": message } }));
            }
        }
    }

    fn read(&mut self, cx: &mut Cx<'_>, reading: Reading) {
        let (table, from, limit) = match &reading.what {
            What::Open => (RECEIPTS_OPEN, String::new(), reading.limit),
            What::Paid(_) => (RECEIPTS_PAID, String::new(), MOST_ROWS),
            What::Claims(past) => (CLAIMS, past.from.clone(), CLAIMS_AT_ONCE),
        };
        let op = cx.read(Range { table, from, to: "~".into(), limit: limit as u32 });
        self.reading.insert(op, reading);
    }

    pub(super) fn done(&mut self, cx: &mut Cx<'_>, known: &Known, op: OpId, completion: Completion) {
        let Some(Reading { stream, limit, what }) = self.reading.remove(&op) else { return };
        let rows = match completion {
            Completion::Page(Ok(rows)) => rows,
            Completion::Page(Err(error)) => {
                let error = json!({ "error": { "code": "unavailable", "message": error.text() } });
                return answer(cx, stream, 503, &error);
            }
            Completion::Dialled(_) | Completion::Stored(_) => return,
        };
        let (name, unread, told) = match what {
            What::Open => {
                let open = parsed(RECEIPTS_OPEN, &rows);
                return self.read(cx, Reading { stream, limit, what: What::Paid(open) });
            }
            What::Paid(open) => {
                let mut paid: Vec<ReceiptRow> = parsed(RECEIPTS_PAID, &rows);
                // One that was paid between the two looks is seen in the first.
                paid.retain(|row| !open.iter().any(|open| open.id() == row.id()));
                // Of those that wait only so many were read.
                let unread = known.open.saturating_sub(open.len());
                ("receipts", unread, open.iter().chain(&paid).map(show_receipt).collect::<Vec<_>>())
            }
            What::Claims(mut past) => {
                if past.goes_on(&rows, limit) {
                    return self.read(cx, Reading { stream, limit, what: What::Claims(past) });
                }
                (past.name, 0, past.told)
            }
        };
        // Of what was read: a history may have more rows than that.
        let more = (unread + told.len()).saturating_sub(limit);
        let all: Vec<Value> = told.into_iter().take(limit).collect();
        let awaited_for = known.awaited_since.map(|since| cx.now.wall.0.saturating_sub(since.0));
        let body =
            json!({ name: all, "more": more, "awaited": known.awaited, "awaited_for_ms": awaited_for });
        answer(cx, stream, 200, &body);
    }

    fn status(&self, cx: &Cx<'_>, status: &Status<'_>) -> Value {
        let portmans = status.config.provider.iter().flat_map(|provider| &provider.portmans).map(|portman| {
            let sockets = status.provider.map(Provider::sockets);
            json!({
                "ep": portman.ep,
                "attached": sockets.is_some_and(|sockets| sockets.is_attached(&portman.ep)),
                "models": sockets.map(|sockets| sockets.models(&portman.ep)),
            })
        });
        let (banned_nodes, banned_networks) = status.labnet.banned(cx.now.mono);
        let receipts = status.provider.map(Provider::receipts);
        let Open { unclaimed, in_claim, disputed, .. } = receipts.map(Receipts::open).unwrap_or_default();
        let (paid, missing) = (receipts.map_or(0, Receipts::paid), receipts.map_or(0, Receipts::missing));
        json!({
            "node_id": cx.me.node_id,
            "network": status.config.network,
            "incarnation": cx.me.incarnation,
            "up": status.born,
            "leaves": cx.me.leaves,
            "uptime_ms": (cx.now.mono - self.started).as_millis(),
            "roles": {
                "gateway": status.gateway.is_some(), "unpaid": status.unpaid.is_some(),
                "provider": status.provider.is_some(),
            },
            "clock": { "ahead_of_peers_ms": status.clock.0, "peers": status.clock.1 },
            "feps": cx.feps.show(cx.now.mono),
            "equivocations": status.equivocations,
            "banned": { "nodes": banned_nodes, "networks": banned_networks },
            "portmans": portmans.collect::<Vec<_>>(),
            "jobs": {
                "gateway": status.gateway.map_or(0, Gateway::jobs_under_way),
                "unpaid": status.unpaid.map_or(0, Unpaid::jobs_under_way),
                "unsettled": status.gateway.map_or(0, Gateway::unsettled),
                "provider": status.provider.map_or(0, Provider::jobs_under_way), "receipts_missing": missing,
            },
            "receipts": {
                "unclaimed": unclaimed, "in_claim": in_claim, "disputed": disputed, "paid_since_start": paid,
            },
        })
    }
}

fn parsed<T: DeserializeOwned>(table: Table, rows: &[Row]) -> Vec<T> {
    rows.iter().filter_map(|row| row.parse(table).ok()).collect()
}

/// What it knows of others: as long as the mesh is large, so that who asks often asks for `/status?brief`.
fn show_mesh(body: &mut Value, status: &Status<'_>) {
    let links = status.labnet.links().map(|(node_id, admitted, dialled, features)| {
        json!({ "node_id": node_id, "admitted": admitted, "dialled": dialled, "features": features })
    });
    let peers = status.view.peers().map(|(node_id, record)| json!({ "node_id": node_id, "record": record }));
    let models = status.view.served().map(|(node_id, served)| {
        let offer = &served.offer.content;
        json!({
            "slug": offer.slug, "provider": node_id, "slots": served.slots, "price": offer.price,
            "currency": offer.payout.currency, "context_length": offer.context_length,
        })
    });
    body["links"] = links.collect();
    body["peers"] = peers.collect();
    body["models"] = models.collect();
}

fn answer(cx: &mut Cx<'_>, stream: StreamId, status: u16, body: &Value) {
    cx.respond_whole(stream, ResponseHead::json(status), serde_json::to_vec(body).unwrap_or_default());
}
