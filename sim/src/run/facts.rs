//! The books as a report shows them, everybody by the scenario's names.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::wire::ids::ReceiptId;
use serde::Deserialize;

use super::Run;
use super::books::LISTED;
use crate::check::ledger::{Books, Held};
use crate::name::Name;
use crate::report::{ClaimFacts, ReceiptFacts, Report};

#[derive(Deserialize)]
struct Claims {
    claims: Vec<ClaimLine>,
}

#[derive(Deserialize)]
struct ClaimLine {
    state: String,
    count: u64,
    total: Micros,
    currency: Currency,
}

impl Run<'_> {
    /// The books are taken apart on the way: of two million receipts there is no room for two of each.
    pub(super) fn fill(&mut self, report: &mut Report, books: Books) {
        let Books { ledger, issued, providers, asked, .. } = books;
        drop(asked);
        let named = |node: NodeId| self.nodes.get(&node).cloned().unwrap_or_else(|| node.to_string().into());
        let undelivered = Name::from("undelivered");
        let mut held: BTreeMap<ReceiptId, (Name, Name)> = BTreeMap::new();
        for Held { receipt_id, slug, state, .. } in providers.into_iter().flat_map(|provider| provider.held) {
            held.insert(receipt_id, (slug, state));
        }
        report.receipts = issued
            .into_iter()
            .map(|receipt| {
                let known = held.get(&receipt.receipt_id).cloned();
                let (slug, state) = known.unwrap_or_else(|| (Name::default(), undelivered.clone()));
                ReceiptFacts {
                    provider: named(receipt.provider_node_id),
                    gateway: named(receipt.gateway_node_id),
                    slug,
                    input_tokens: receipt.settled.input,
                    cached_tokens: receipt.settled.cached,
                    output_tokens: receipt.settled.output,
                    charge: receipt.charge,
                    payout: receipt.payout,
                    currency: receipt.currency,
                    state,
                    issued_at_us: receipt.issued_ms.saturating_sub(self.fep_started.0).saturating_mul(1_000),
                }
            })
            .collect();
        report.receipts.sort();
        report.claims = self.claims();
        report.claims.sort();
        let users =
            self.accounts.iter().map(|(name, account)| (account.user.to_string(), name.clone())).collect();
        for line in &ledger.accounts {
            let account = rename(&line.account, &users, &self.nodes);
            let name = match line.currency == ledger.currency {
                true => account,
                false => format!("{} {account}", line.currency),
            };
            report.balances.insert(name, line.balance.0);
        }
    }

    fn claims(&mut self) -> Vec<ClaimFacts> {
        let mut facts = Vec::new();
        for provider in &self.scenario.providers {
            match self.get::<Claims>(&provider.name, &format!("/claims?limit={LISTED}")) {
                Ok(Claims { claims }) => facts.extend(claims.into_iter().map(|claim| ClaimFacts {
                    provider: provider.name.clone(),
                    state: claim.state,
                    receipts: claim.count,
                    total: claim.total,
                    currency: claim.currency,
                })),
                Err(why) => self.findings.push(why),
            }
        }
        facts
    }
}

/// An account as the scenario calls its owner.
fn rename(account: &str, users: &BTreeMap<String, String>, nodes: &BTreeMap<NodeId, Name>) -> String {
    let Some((kind, owner)) = account.split_once(':') else { return account.to_owned() };
    let node = owner.parse::<NodeId>().ok().and_then(|node| nodes.get(&node)).map(|name| &**name);
    match users.get(owner).map(String::as_str).or(node) {
        Some(name) => format!("{kind}:{name}"),
        None => account.to_owned(),
    }
}
