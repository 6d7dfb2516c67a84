//! Reading everybody's books over their admin surfaces, for the checkers and for the report.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::limits;
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::time::{Span, Time};
use labman_proto_core::toy;
use labman_proto_core::wire::ids::ReceiptId;
use labman_proto_core::wire::portal::Receipt;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::setup::slugs;
use super::{DEADLINE_GRACE, Job, JobState, Run, outcome};
use crate::check::ledger::{self, Asked, Books, Doubt, Held, Ledger, Provider, States, Text};
use crate::check::liveness::Core;
use crate::faults::{Fault, Inject};
use crate::report::{ClaimFacts, Ending, ReceiptFacts, Report};
use crate::scenario;

/// Lines asked for in one listing.
const LISTED: usize = 1_000;
/// How often a provider's receipts are read until they did not change meanwhile.
const READINGS: u32 = 10;
/// Receipts below the least payout stay unclaimed: after so many claim periods nothing more will come.
const CLAIM_PERIODS: u64 = 3;
/// Within this of a job's end its gateway has that on its disk; and so long after its disk was slow, or it stood still,
/// what had to wait is there, too.
const STORED_WITHIN: Span = Span::from_secs(5);
const BACKLOG: Span = Span::from_secs(120);

/// The part of a node's `GET /status` that tells whether it is at rest.
#[derive(Deserialize)]
struct Status {
    receipts: States,
    jobs: Jobs,
}

#[derive(Deserialize)]
struct Jobs {
    gateway: u64,
    provider: u64,
    unsettled: u64,
}

#[derive(Deserialize)]
struct Issued {
    receipts: Vec<Receipt>,
}

#[derive(Deserialize)]
struct HeldList {
    receipts: Vec<Held>,
}

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
    /// The periodic look: the ledger must hold at every moment, and when nothing is under way the run is over.
    pub(super) fn check(&mut self) {
        let fep = self.scenario.fep.name.as_str();
        if !self.hosts.get(fep).is_some_and(|host| self.world.is_up(*host)) {
            return;
        }
        match self.get::<Ledger>(fep, "/ledger") {
            Ok(ledger) => {
                let at = self.world.now().0 / 1_000_000_000;
                let found = ledger::check_ledger(&ledger);
                self.findings.extend(found.into_iter().map(|what| format!("after {at} s: {what}")));
                self.check_burdens();
                // Once at rest it stays so: nobody asks any more.
                self.settled = self.settled || (self.all_ended() && self.is_at_rest(&ledger));
            }
            // It may have been struck down while it was asked.
            Err(_) if !self.scenario.faults.is_empty() => {}
            Err(why) => self.findings.push(why),
        }
    }

    /// Every gateway of the core must know what the core serves.
    pub(super) fn check_views(&mut self) {
        let Some(core) = Core::of(self.scenario) else { return };
        for gateway in self.scenario.gateways.iter().filter(|gateway| core.hears(self.scenario, gateway)) {
            match self.ask(&gateway.name, "GET", "/status", None) {
                Ok(status) => {
                    let known = slugs(&status);
                    let missing: Vec<_> = core.slugs().difference(&known).collect();
                    if !missing.is_empty() {
                        let (name, at) = (&gateway.name, self.world.now().0 / 1_000_000_000);
                        self.findings.push(format!(
                            "after {at} s: {name} does not know of {missing:?}, though all was healed"
                        ));
                    }
                }
                Err(why) => self.findings.push(format!("after healing: {why}")),
            }
        }
    }

    /// What was asked of the core after it had healed must have been served, and its money must have come to rest.
    fn check_served(&mut self, core: &Core) {
        for job in &self.jobs {
            if core.must_serve(self.scenario, &job.planned) && outcome(job).ending() != Ending::Completed {
                let (name, facts) = (&job.planned.name, outcome(job));
                let what = format!("HTTP {}, {:?}", facts.http_status, facts.error_code);
                self.findings.push(format!("job {name} was asked after all had healed, and got {what}"));
            }
        }
        if core.whole && !self.settled {
            self.findings.push("the money has not come to rest since all was healed".into());
        }
    }

    fn is_at_rest(&mut self, ledger: &Ledger) -> bool {
        let held = |line: &ledger::Line| line.account.starts_with("held:") && line.balance != Micros::ZERO;
        // A dishonest gateway may leave holds that lapse in their own time.
        if ledger.accounts.iter().any(held) && self.scenario.settles() {
            return false;
        }
        let since_last_job = self.world.now() - self.last_job_ended;
        let patience = |claim_every: Span| Span(claim_every.0.saturating_mul(CLAIM_PERIODS));
        let gateways = self.scenario.gateways.iter().map(|gateway| (&gateway.name, Span::default()));
        let providers = self.scenario.providers.iter().map(|p| (&p.name, patience(p.claim_every)));
        let honest = |(name, _): &(&String, Span)| self.scenario.is_honest(name);
        for (name, patience) in gateways.chain(providers).filter(honest) {
            let Ok(Status { receipts, jobs }) = self.get::<Status>(name, "/status") else { return false };
            let working = jobs.gateway + jobs.provider + jobs.unsettled > 0;
            let claiming = receipts.in_claim > 0 || (receipts.unclaimed > 0 && since_last_job < patience);
            if working || claiming {
                return false;
            }
        }
        true
    }

    /// The last look: all books against each other, and into the report.
    pub(super) fn audit(&mut self, report: &mut Report) {
        let open = |job: &&Job| !matches!(job.state, JobState::Ended(_)) && !self.is_cut_off(job);
        let unanswered = self.jobs.iter().filter(open).map(|job| &job.planned.name);
        let found: Vec<String> = unanswered.map(|name| format!("job {name} was never answered")).collect();
        self.findings.extend(found);
        if let Some(core) = Core::of(self.scenario) {
            self.check_served(&core);
        }
        self.check_disks();
        report.currency = Some(self.scenario.fep.currency.clone());
        let old = self.world.exchanges_older_than(limits::JOB_TOTAL + DEADLINE_GRACE);
        let open = old.into_iter().filter(|parties| !self.are_apart(*parties));
        let found = open.map(|[asker, asked]| format!("an exchange of {asker} with {asked} never ended"));
        let found: Vec<String> = found.collect();
        self.findings.extend(found);
        match self.books() {
            Ok(books) => {
                let found = self.check_books(&books);
                report.ledger_balanced = ledger::check_ledger(&books.ledger).is_empty();
                self.findings.extend(found);
                self.fill(report, &books);
            }
            Err(why) => self.findings.push(format!("the books can't be read: {why}")),
        }
    }

    fn books(&mut self) -> Result<Books, String> {
        let fep = self.scenario.fep.name.as_str();
        let ledger = self.get(fep, "/ledger")?;
        let mut issued = Vec::new();
        loop {
            let page = format!("/receipts?limit={LISTED}&skip={}", issued.len());
            let Issued { mut receipts } = self.get(fep, &page)?;
            let last = receipts.len() < LISTED;
            issued.append(&mut receipts);
            if last {
                break;
            }
        }
        let mut providers = Vec::new();
        for provider in &self.scenario.providers {
            providers.push(self.provider_books(provider)?);
        }
        let deposit = |user: &scenario::User| (self.user_id(&user.name), user.deposit);
        let deposits = self.scenario.users.iter().map(deposit).collect();
        let asked = self.jobs.iter().map(|job| self.asked(job)).collect();
        let fees = self.scenario.fep.fees;
        let books = Books {
            ledger,
            deposits,
            asked,
            fees,
            issued,
            providers,
            at_rest: self.settled,
            doubt: Doubt::default(),
        };
        Ok(self.doubted(books))
    }

    fn asked(&self, job: &Job) -> Asked {
        let facts = outcome(job);
        let request_id = match &job.state {
            JobState::Ended(answer) => answer.request_id.clone(),
            JobState::Waiting | JobState::Asked => None,
        };
        Asked {
            user: self.user_id(&facts.user),
            request_id,
            completed: facts.ending() == Ending::Completed,
            refused: facts.ending() == Ending::Refused,
            completion_tokens: facts.completion_tokens,
            text: text_of(job, &facts.text),
            gateway_forgot: self.gateway_forgot(job),
            job: facts.job,
        }
    }

    /// Whether a job's gateway died while it may not have had on its disk yet that it served. What is there survives it,
    /// unless the disk itself forgets.
    fn gateway_forgot(&self, job: &Job) -> bool {
        let (Some(gateway), Some(asked)) = (self.hosts.get(&job.planned.gateway), job.asked_at) else {
            return false;
        };
        let until = match job.ended_at {
            Some(ended) if !self.scenario.forgets(&job.planned.gateway) => self.stored_by(job, ended),
            Some(_) | None => self.world.now(),
        };
        self.world.died_within(*gateway, asked, until)
    }

    /// When that a job has ended is on its gateway's disk for sure.
    fn stored_by(&self, job: &Job, ended: Time) -> Time {
        let soon = ended + STORED_WITHIN;
        let late = |fault: &&Fault| {
            let slow = matches!(fault.inject, Inject::DiskSlow(_) | Inject::Stall(_));
            slow && fault.inject.hosts().contains(&job.planned.gateway.as_str())
                && self.started + fault.at < soon
        };
        let late = self.scenario.faults.iter().filter(late);
        let over = late.map(|fault| self.started + fault.at + fault.lasting + BACKLOG);
        over.fold(soon, Time::max)
    }

    pub(super) fn user_id(&self, name: &str) -> String {
        self.accounts.get(name).map(|account| account.user.clone()).unwrap_or_default()
    }

    /// A provider's counts of its receipts and the receipts themselves, of one moment: one may come between two questions.
    fn receipts_of(&mut self, name: &str) -> Result<(States, Vec<Held>), String> {
        let Status { receipts: mut states, .. } = self.get(name, "/status")?;
        for _ in 0..READINGS {
            let HeldList { receipts: held } = self.get(name, &format!("/receipts?limit={LISTED}"))?;
            let Status { receipts: after, .. } = self.get(name, "/status")?;
            if std::mem::replace(&mut states, after) == after {
                return Ok((states, held));
            }
        }
        Err(format!("{name}: its receipts changed at each of {READINGS} readings"))
    }

    fn provider_books(&mut self, provider: &scenario::Provider) -> Result<Provider, String> {
        let (states, held) = self.receipts_of(&provider.name)?;
        let prices = provider.slugs().zip(provider.portmans.iter().map(|portman| portman.price)).collect();
        let (name, node_id) = (provider.name.clone(), self.cast.node_id(&provider.name));
        let forgot = self.scenario.forgets(&name);
        Ok(Provider { name, node_id, held, states, prices, forgot })
    }

    fn fill(&mut self, report: &mut Report, books: &Books) {
        let nodes = self.names();
        let named = |node: NodeId| nodes.get(&node).cloned().unwrap_or_else(|| node.to_string());
        let held: BTreeMap<ReceiptId, &Held> = books
            .providers
            .iter()
            .flat_map(|provider| provider.held.iter().map(|held| (held.receipt_id, held)))
            .collect();
        report.receipts = books
            .issued
            .iter()
            .map(|receipt| {
                let held = held.get(&receipt.receipt_id);
                ReceiptFacts {
                    provider: named(receipt.provider_node_id),
                    gateway: named(receipt.gateway_node_id),
                    slug: held.map(|held| held.slug.clone()).unwrap_or_default(),
                    input_tokens: receipt.settled.input,
                    cached_tokens: receipt.settled.cached,
                    output_tokens: receipt.settled.output,
                    charge: receipt.charge,
                    payout: receipt.payout,
                    currency: receipt.billing_currency.clone(),
                    state: held.map_or("undelivered", |held| &held.state).to_owned(),
                }
            })
            .collect();
        report.receipts.sort();
        report.claims = self.claims();
        report.claims.sort();
        let users =
            self.accounts.iter().map(|(name, account)| (account.user.clone(), name.clone())).collect();
        for line in &books.ledger.accounts {
            report.balances.insert(rename(&line.account, &users, &nodes), line.balance.0);
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

    fn names(&self) -> BTreeMap<NodeId, String> {
        let gateways = self.scenario.gateways.iter().map(|gateway| &gateway.name);
        let providers = self.scenario.providers.iter().map(|provider| &provider.name);
        gateways.chain(providers).map(|name| (self.cast.node_id(name), name.clone())).collect()
    }

    pub(super) fn get<T: DeserializeOwned>(&mut self, host: &str, path: &str) -> Result<T, String> {
        let answer = self.ask(host, "GET", path, None)?;
        serde_json::from_value(answer).map_err(|error| format!("GET {path} at {host}: {error}"))
    }
}

/// How much of the runtime's answer a user read.
fn text_of(job: &Job, text: &str) -> Option<Text> {
    let produced = toy::completion(&job.planned.body).ok()?;
    let mut length = 0;
    let ends = produced.tokens.iter().map(|token| {
        length += token.len();
        length
    });
    let read = ends.take_while(|end| *end <= text.len()).count() as u64;
    let to_its_end = matches!(&job.state, JobState::Ended(answer) if !answer.broken);
    Some(Text { read, to_its_end, produced: produced.tokens.len() as u64 })
}

/// An account as the scenario calls its owner.
fn rename(account: &str, users: &BTreeMap<String, String>, nodes: &BTreeMap<NodeId, String>) -> String {
    let Some((kind, owner)) = account.split_once(':') else { return account.to_owned() };
    let node = owner.parse::<NodeId>().ok().and_then(|node| nodes.get(&node));
    match users.get(owner).or(node) {
        Some(name) => format!("{kind}:{name}"),
        None => account.to_owned(),
    }
}
