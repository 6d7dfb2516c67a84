//! Reading everybody's books over their admin surfaces, for the checkers.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::economics::Rate;
use labman_proto_core::limits::PULL_EVERY;
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::time::{Span, Time};
use labman_proto_core::wire::portal::Receipt;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Job, JobState, Run, outcome};
use crate::check::ledger::{self, Asked, Books, Doubt, Ledger, Owing, Provider, Text};
use crate::check::price::Prices;
use crate::faults::{Fault, Inject};
use crate::host::HostId;
use crate::name::Name;
use crate::report::Ending;
use crate::scenario;

/// Lines asked for in one listing.
pub(super) const LISTED: usize = 1_000;
/// How often somebody's books are read until they did not change meanwhile.
pub(super) const READINGS: u32 = 10;
/// Within this of a job's end its gateway has that on its disk; and so long after its disk was slow, or it stood still,
/// what had to wait is there, too.
const STORED_WITHIN: Span = Span::from_secs(5);
/// A provider asks for what never came so often, once more if nobody answers, and has it then.
const ASKS_WITHIN: Span = Span(PULL_EVERY.0 + 120_000_000_000);
const BACKLOG: Span = Span::from_secs(120);

#[derive(Deserialize)]
struct Issued {
    receipts: Vec<Receipt>,
}

#[derive(Deserialize)]
struct Exposures {
    feps: Vec<Owing>,
}

impl Run<'_> {
    pub(super) fn books(&mut self) -> Result<Books, String> {
        let mut providers = Vec::new();
        for provider in &self.scenario.providers {
            providers.push(self.provider_books(provider)?);
        }
        let (ledger, issued) = self.fep_books()?;
        let deposit = |user: &scenario::User| (self.user_id(&user.name), user.deposit);
        let deposits = self.scenario.users.iter().map(deposit).collect();
        let asked = self.jobs.iter().map(|job| self.asked(job)).collect();
        let fees = self.scenario.fep.fees;
        let mut quoted: BTreeMap<Currency, BTreeSet<Rate>> = BTreeMap::new();
        for quote in &self.scenario.fep.quotes {
            quoted.entry(quote.currency.clone()).or_default().insert(quote.rate);
        }
        let bonds = Micros(self.scenario.fep.bond.0 * self.scenario.gateways.len() as i64);
        let books = Books {
            ledger,
            deposits,
            bonds,
            asked,
            fees,
            quoted,
            issued,
            providers,
            at_rest: self.settled,
            asked_for_by_ms: self.asked_for_by_ms(),
            doubt: Doubt::default(),
        };
        Ok(self.doubted(books))
    }

    /// The FEP's ledger and its receipts, of one moment: something may be settled between two questions.
    fn fep_books(&mut self) -> Result<(Ledger, Vec<ledger::Issued>), String> {
        let fep = self.scenario.fep.name.as_str();
        let mut ledger: Ledger = self.get(fep, "/ledger")?;
        for _ in 0..READINGS {
            let issued = self.issued(fep)?;
            let after = self.get(fep, "/ledger")?;
            if ledger == after {
                return Ok((ledger, issued));
            }
            ledger = after;
        }
        Err(format!("{fep}: its ledger changed at each of {READINGS} readings"))
    }

    fn issued(&mut self, fep: &str) -> Result<Vec<ledger::Issued>, String> {
        let mut issued = Vec::new();
        loop {
            let page = format!("/receipts?limit={LISTED}&skip={}", issued.len());
            let Issued { receipts } = self.get(fep, &page)?;
            let last = receipts.len() < LISTED;
            issued.extend(receipts.into_iter().map(ledger::Issued::from));
            if last {
                return Ok(issued);
            }
        }
    }

    fn asked(&self, job: &Job) -> Asked {
        let facts = outcome(job);
        let request_id = match &job.state {
            JobState::Ended(answer) => answer.request_id,
            JobState::Waiting | JobState::Asked => None,
        };
        Asked {
            user: self.user_id(&facts.user),
            request_id,
            completed: facts.ending() == Ending::Completed,
            refused: facts.ending() == Ending::Refused,
            failed_unseen: facts.http_status == 502 && !job.planned.streaming,
            completion_tokens: facts.completion_tokens,
            text: self.text_of(job, &facts.text),
            gateway_forgot: !self.rests(&job.planned.gateway) || self.gateway_forgot(job),
            job: facts.job,
        }
    }

    /// Whether a job's gateway died while it may not have had on its disk yet that it served. What is there survives it,
    /// unless the disk itself forgets.
    fn gateway_forgot(&self, job: &Job) -> bool {
        let (Some(gateway), Some(asked)) = (self.hosts.get(&*job.planned.gateway), job.asked_at) else {
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
            slow && fault.inject.hosts().contains(&&*job.planned.gateway) && self.started + fault.at < soon
        };
        let late = self.scenario.faults.iter().filter(late);
        let over = late.map(|fault| self.started + fault.at + fault.lasting + BACKLOG);
        over.fold(soon, Time::max)
    }

    pub(super) fn user_id(&self, name: &str) -> Name {
        self.accounts.get(name).map(|account| account.user.clone()).unwrap_or_default()
    }

    fn provider_books(&mut self, provider: &scenario::Provider) -> Result<Provider, String> {
        let (states, mut held) = self.receipts_of(&provider.name)?;
        for text in held.iter_mut().flat_map(|one| [&mut one.state, &mut one.slug, &mut one.address]) {
            *text = self.said.known(text);
        }
        let prices = provider
            .all_slugs()
            .map(|(slug, portman)| (slug, Prices::of(portman.price, portman.pricing)))
            .collect();
        let (name, node_id) = (provider.name.clone(), self.cast.node_id(&provider.name));
        let forgot = self.scenario.forgets(&name) || !self.rests(&name);
        let Exposures { feps: owing } = self.get(&name, "/exposure")?;
        let asks = self.rests(&name);
        let now_ms = self.undisturbed(&name).map(|host| self.world.host_now(host).wall.0);
        Ok(Provider { name, node_id, held, states, owing, prices, forgot, asks, now_ms })
    }

    /// A host that nothing has kept from its own work since all was healed, a while ago.
    fn undisturbed(&self, name: &str) -> Option<HostId> {
        let healed = self.started + self.scenario.healed_at?;
        let suffers = |index: &usize| self.scenario.faults[*index].inject.hosts().contains(&name);
        let disturbed = self.scenario.loses_time(name) || self.under_way.iter().any(suffers);
        let long_ago = self.world.now() >= healed + ASKS_WITHIN;
        self.hosts.get(name).copied().filter(|_| long_ago && !disturbed)
    }

    /// Since all was healed there was time for every provider to ask.
    fn asked_for_by_ms(&self) -> Option<u64> {
        let (healed, fep) = (self.started + self.scenario.healed_at?, &self.scenario.fep.name);
        // Without a core its FEP is gone.
        if self.world.now() < healed + ASKS_WITHIN || self.core.is_none() {
            return None;
        }
        let fep = self.hosts.get(fep)?;
        self.world.host_now(*fep).wall.0.checked_sub(ASKS_WITHIN.as_millis())
    }

    pub(super) fn get<T: DeserializeOwned>(&mut self, host: &str, path: &str) -> Result<T, String> {
        let answer = self.ask(host, "GET", path, None)?;
        serde_json::from_value(answer).map_err(|error| format!("GET {path} at {host}: {error}"))
    }

    /// How much of the runtime's answer a user read.
    fn text_of(&self, job: &Job, text: &str) -> Option<Text> {
        let produced = self.says.completion(&job.planned.body()).ok()?;
        let mut length = 0;
        let ends = produced.tokens.iter().map(|token| {
            length += token.len();
            length
        });
        let read = ends.take_while(|end| *end <= text.len()).count() as u64;
        // Without a stream an error answer says nothing of how much was delivered to the gateway, and is paid.
        let streamed = job.planned.streaming;
        let to_its_end = streamed && matches!(&job.state, JobState::Ended(answer) if !answer.broken);
        Some(Text { read, to_its_end, produced: produced.tokens.len() as u64 })
    }
}
