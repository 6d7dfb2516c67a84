//! Runs a scenario: sets it up as an operator would, lets the users ask, and looks at everything with the checkers.
//!
//! What is absent: any shortcut into a machine. Accounts are opened and books are read over the admin surfaces.

mod adversaries;
mod answered;
mod audit;
mod auditors;
mod books;
mod burdens;
mod busy;
mod contact;
mod disks;
mod facts;
mod market;
mod mesh;
pub(crate) mod owed;
mod passed;
mod presence;
mod prices;
mod quotes;
mod receipts;
mod rest;
mod routing;
mod service;
mod setup;
mod siege;
mod threats;
mod trust;
mod turns;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use labman_proto_core::identity::NodeId;
use labman_proto_core::limits;
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::{Now, Span, Time, Wall};
use labman_proto_core::toy;
use serde_json::Value;

use crate::cast::{Cast, Resident};
use crate::check::liveness::Core;
use crate::check::safety;
use crate::churn;
use crate::faults::{Inject, Site};
use crate::host::HostId;
use crate::name::{Name, Names};
use crate::net::link::Latencies;
use crate::report::mesh::MeshReport;
use crate::report::routing::Try;
use crate::report::{Ending, JobOutcome, Report};
use crate::scenario::{self, Scenario};
use crate::story::Story;
use crate::users::{Ask, User};
use crate::workload::audit::Auditors;
use crate::workload::{Planned, plan};
use crate::world::{Step, World};

use answered::Answered;
use busy::Busy;
use owed::Owed;
pub use passed::{Part, Passed};
use trust::Trust;

/// An admin call must be answered within this.
const ADMIN_ANSWER: Span = Span::from_secs(10);
/// What a job's end may lag behind its deadline: the way of its last bytes.
const DEADLINE_GRACE: Span = Span::from_secs(30);

/// Time for those who were started to read their stores, and for those who were kept from somebody to ask again what they ask
/// until it is answered, before their books are read.
const LAST_WORDS: Span = Span(limits::REDELIVER_LAST.0 + 2 * limits::FEP_ANSWER.0);

/// For so many seconds more at most what was at rest, and is not any more, is waited for.
const AT_WORK: usize = 10;

/// How to run, apart from what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Keep what the machines log.
    pub log: bool,
    /// Where who waits may see how far it is.
    pub passed: Option<&'a Part<'a>>,
}

/// Runs a scenario with a seed.
pub fn run(scenario: &Scenario, seed: u64) -> Report {
    run_with(scenario, seed, Options::default())
}

pub fn run_with(scenario: &Scenario, seed: u64, options: Options<'_>) -> Report {
    play(scenario, seed, options, None).0
}

/// As [`run_with`], and tells the run's story.
///
/// # Errors
/// If the story can't be written.
pub fn run_told(scenario: &Scenario, seed: u64, options: Options<'_>, story: Story) -> io::Result<Report> {
    let (report, story) = play(scenario, seed, options, Some(story));
    story.map_or(Ok(()), Story::close)?;
    Ok(report)
}

fn play(
    scenario: &Scenario,
    seed: u64,
    options: Options<'_>,
    story: Option<Story>,
) -> (Report, Option<Story>) {
    let dealt = churn::dealt(scenario, Seed::from_u64(seed));
    let scenario = dealt.as_ref();
    let mut run = Run::new(scenario, Seed::from_u64(seed));
    if let Some(story) = story {
        run.world.tell(story);
    }
    if options.log {
        run.world.keep_log();
    }
    let mut report = Report {
        scenario: scenario.name.clone(),
        seed,
        measure_from: scenario.measure_from,
        ..Report::default()
    };
    let set_up = run.set_up();
    if set_up.is_ok() {
        run.work(options.passed);
        run.audit(&mut report);
    }
    let story = run.world.take_story();
    run.finish(&mut report);
    // First: all else may follow from it.
    if let Err(why) = set_up {
        report.failures.insert(0, format!("could not be set up: {why}"));
    }
    report.expect(&scenario.expects);
    report.compare(&scenario.oracles);
    (report, story)
}

struct Run<'a> {
    scenario: &'a Scenario,
    /// Who does not do only what the protocol says: asked for each job of thousands.
    dishonest: BTreeSet<String>,
    /// Providers whose text may not be their model's.
    doubted: Vec<&'a scenario::Provider>,
    core: Option<Core>,
    /// What runtimes say, to be compared with what users were told.
    says: toy::Chain,
    cast: Cast<'a>,
    world: World<Resident>,
    operator: Option<HostId>,
    hosts: BTreeMap<String, HostId>,
    /// Gateways and providers by what they are called on the mesh.
    nodes: BTreeMap<NodeId, Name>,
    /// What answers say again and again.
    said: Names,
    users: BTreeSet<HostId>,
    /// By user.
    accounts: BTreeMap<String, Account>,
    jobs: Vec<Job>,
    /// What each token of the world's stands for.
    dues: Vec<Due>,
    /// When the workload started, and what the FEP's clock showed.
    started: Time,
    fep_started: Wall,
    last_job_ended: Time,
    check_due: bool,
    views_due: bool,
    /// Where the names of adversaries are.
    swarm: BTreeMap<NodeId, u128>,
    /// What is watched of the mesh.
    mesh: Option<mesh::Watch>,
    /// Who decides what it hosts.
    shelves: Option<market::Shelves>,
    /// What is asked for.
    prices: Option<prices::Looks>,
    /// How gateways choose.
    routing: Option<Vec<Try>>,
    /// Users who check what they are answered.
    auditors: Auditors,
    /// Faults that have begun and not ended.
    under_way: BTreeSet<usize>,
    /// Faults that have ever begun.
    begun: BTreeSet<usize>,
    /// Of the FEP's quotes: those to be set now, and of each currency the last that was.
    to_quote: Vec<usize>,
    quoted: BTreeMap<Currency, usize>,
    over: bool,
    settled: bool,
    /// Whose money was under way at the last look.
    restless: Option<String>,
    findings: Vec<String>,
    mesh_found: Option<MeshReport>,
    owed: Owed,
    busy: Busy,
    busy_found: Option<i64>,
}

/// What the FEP's operator got for a user.
struct Account {
    user: Name,
    api_key: String,
}

struct Job {
    planned: Planned,
    state: JobState,
    asked_at: Option<Time>,
    /// Its gateway was there to be asked.
    gateway_up: bool,
    ended_at: Option<Time>,
}

enum JobState {
    Waiting,
    Asked,
    Ended(Box<Answered>),
}

#[derive(Clone, Debug)]
enum Due {
    /// This job is to be asked for.
    Job(usize),
    /// This job must have ended.
    Deadline(usize),
    /// This job's user goes away.
    Leave(usize),
    /// This job's user reads nothing more.
    StopReading(usize),
    /// This fault begins.
    Begin(usize),
    /// This fault is over.
    End(usize),
    /// The FEP's operator sets this quote.
    Quote(usize),
    /// This adversary sets to work.
    Attack(usize),
    /// This adversary lets go.
    Retreat(usize),
    /// The FEP pays no claim any more.
    Default,
    Check,
    /// The mesh is to be looked at.
    Mesh,
    /// It is to be looked at who loaded something.
    Market,
    /// It is to be looked at what is asked for it.
    Prices,
    /// The runtime of this Portman of this provider fails more often from now on, or less.
    Turn(usize, usize),
    /// The core must agree by now.
    Views,
    /// Whoever waits, waits no longer.
    Nap,
    /// The scenario's duration is over.
    Over,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario, seed: Seed) -> Self {
        let table = scenario.latency;
        let latencies = Latencies { mesh: table.mesh, http: table.http, local: table.local };
        let cast = Cast { scenario, seed: seed.child("cast") };
        let families = |gateway: &scenario::Gateway| cast.families(gateway);
        let jobs = plan(scenario, seed.child("workload"), families);
        Self {
            scenario,
            dishonest: scenario.dishonest(),
            doubted: scenario.providers.iter().filter(|provider| provider.is_doubted()).collect(),
            core: Core::of(scenario),
            nodes: cast.nodes(),
            said: Names::default(),
            says: toy::Chain::of_the_text(),
            cast,
            world: World::new(seed.child("world"), latencies),
            operator: None,
            hosts: BTreeMap::new(),
            users: BTreeSet::new(),
            accounts: BTreeMap::new(),
            jobs: jobs
                .into_iter()
                .map(|planned| Job {
                    planned,
                    state: JobState::Waiting,
                    asked_at: None,
                    gateway_up: false,
                    ended_at: None,
                })
                .collect(),
            dues: Vec::new(),
            started: Time::ZERO,
            fep_started: Wall::default(),
            last_job_ended: Time::ZERO,
            check_due: false,
            views_due: false,
            swarm: BTreeMap::new(),
            mesh: None,
            shelves: None,
            prices: None,
            routing: None,
            auditors: Auditors::default(),
            under_way: BTreeSet::new(),
            begun: BTreeSet::new(),
            to_quote: Vec::new(),
            quoted: BTreeMap::new(),
            over: false,
            settled: false,
            restless: None,
            findings: Vec::new(),
            mesh_found: None,
            owed: Owed::default(),
            busy: Busy::default(),
            busy_found: None,
        }
    }

    /// Lets the users ask, until all is done and settled or the duration is over.
    fn work(&mut self, passed: Option<&Part<'_>>) {
        self.started = self.world.now();
        let fep = self.hosts.get(&self.scenario.fep.name).copied();
        self.fep_started = fep.map(|fep| self.world.host_now(fep).wall).unwrap_or_default();
        self.schedule(self.started + self.scenario.duration, Due::Over);
        self.schedule(self.started + self.scenario.check_every, Due::Check);
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            let at = self.started + fault.at;
            self.schedule(at, Due::Begin(index));
            self.schedule(at + fault.lasting, Due::End(index));
        }
        self.watch_mesh();
        self.watch_market();
        self.watch_prices();
        self.watch_routing();
        self.schedule_turns();
        self.watch_busy();
        self.schedule_adversaries();
        self.schedule_quotes();
        if self.scenario.one_by_one {
            self.ask_next();
        } else {
            for job in 0..self.jobs.len() {
                self.schedule(self.started + self.jobs[job].planned.at, Due::Job(job));
            }
        }
        if let Some(from) = self.core.as_ref().map(|core| core.from) {
            self.schedule(self.started + from, Due::Views);
        }
        while !self.over && (self.scenario.whole || !self.settled) && self.advance() {
            if let Some(passed) = passed {
                passed.is_at(self.world.now() - self.started, self.scenario.duration);
            }
            self.look_at_busy();
            if std::mem::take(&mut self.check_due) {
                self.check();
                self.look_at_owed();
                self.schedule(self.world.now() + self.scenario.check_every, Due::Check);
            }
            if std::mem::take(&mut self.views_due) {
                self.check_views();
            }
            self.quotes_due();
        }
        let healed = self.core.as_ref().is_some_and(|core| self.world.now() >= self.started + core.from);
        if self.over && healed {
            self.check_views();
        }
        self.mesh_found = self.mesh_report();
        self.busy_found = self.busy_ppm();
        self.look_at_owed();
        self.call_off();
    }

    /// Ends what still lasts, so that everybody's books can be read.
    fn call_off(&mut self) {
        for index in std::mem::take(&mut self.under_way) {
            self.inject(index, Inject::end);
        }
        let hosts: Vec<HostId> = self.hosts.values().copied().collect();
        for host in hosts {
            self.world.set_disk_trouble(host, None);
            self.world.mend_disk(host);
            self.world.restart(host);
        }
        let idle_in = self.world.disks_idle_at() - self.world.now();
        self.nap(idle_in + LAST_WORDS);
        // Holds of who is dishonest lapse in their own time, and what comes of that is claimed: no book is read meanwhile.
        for _ in 0..AT_WORK {
            if !self.settled || !self.is_restless() {
                break;
            }
            self.nap(Span::from_secs(1));
        }
    }

    /// Runs one event. `false`: there will be none any more.
    fn advance(&mut self) -> bool {
        match self.world.step() {
            None => return false,
            Some(Step::Idle) => {}
            Some(Step::Moved(host)) => {
                if self.users.contains(&host) {
                    self.collect(host);
                }
            }
            Some(Step::Due(token)) => {
                if let Some(due) = usize::try_from(token).ok().and_then(|token| self.dues.get(token)) {
                    self.due(due.clone());
                }
            }
        }
        true
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Job(job) => self.ask_for(job),
            Due::Deadline(job) => {
                let asked = &self.jobs[job];
                if matches!(asked.state, JobState::Asked) && !self.is_cut_off(asked) {
                    let ends_by = self.ends_by(asked);
                    if ends_by > self.world.now() {
                        self.schedule(ends_by, Due::Deadline(job));
                    } else {
                        let name = &asked.planned.name;
                        self.findings.push(format!("job {name} has not ended by its deadline"));
                    }
                }
            }
            Due::Leave(job) => self.user_of(job, |user, now| user.leave(job, now)),
            Due::StopReading(job) => self.user_of(job, |user, _| user.stop_reading(job)),
            Due::Begin(index) => {
                self.under_way.insert(index);
                self.begun.insert(index);
                self.inject(index, Inject::begin);
            }
            Due::End(index) => {
                if self.under_way.remove(&index) {
                    self.inject(index, Inject::end);
                    if matches!(self.scenario.faults[index].inject, Inject::Partition(_)) {
                        self.mesh_heals();
                    }
                }
            }
            Due::Quote(index) => self.to_quote.push(index),
            Due::Attack(index) => self.set_adversary(index, true),
            Due::Retreat(index) => self.set_adversary(index, false),
            Due::Default => self.let_fep_default(),
            Due::Check => self.check_due = true,
            Due::Mesh => self.look_at_mesh(),
            Due::Market => self.look_at_market(),
            Due::Prices => self.look_at_prices(),
            Due::Turn(provider, portman) => self.turn(provider, portman),
            Due::Views => self.views_due = true,
            Due::Nap => {}
            Due::Over => self.over = true,
        }
    }

    fn inject(&mut self, index: usize, act: fn(&Inject, &mut Site<'_>)) {
        let fault = &self.scenario.faults[index];
        if let Some(host) = fault.inject.hosts().first().and_then(|host| self.hosts.get(*host)) {
            let what = if self.under_way.contains(&index) { "begins" } else { "ends" };
            self.world.note(*host, &format!("fault {:?} {what}", fault.inject));
        }
        let mut site = Site {
            world: &mut self.world,
            hosts: &self.hosts,
            operator: self.operator,
            keys: self.cast.fep_keys(),
            until: self.started + fault.at + fault.lasting,
            draws: self.cast.seed.stream(&format!("fault {index}")),
        };
        act(&fault.inject, &mut site);
    }

    fn schedule(&mut self, at: Time, due: Due) {
        self.world.schedule(at, self.dues.len() as u64);
        self.dues.push(due);
    }

    fn ask_next(&mut self) {
        let waiting = |job: &Job| matches!(job.state, JobState::Waiting);
        if let Some(job) = self.jobs.iter().position(waiting) {
            self.ask_for(job);
        }
    }

    fn ask_for(&mut self, index: usize) {
        let gateway = self.hosts.get(&*self.jobs[index].planned.gateway);
        let gateway_up = gateway.is_some_and(|gateway| self.world.is_up(*gateway));
        let job = &mut self.jobs[index];
        let planned = &job.planned;
        let own_key =
            self.accounts.get(&*planned.user).map(|account| account.api_key.clone()).unwrap_or_default();
        let mut body = planned.body().into_owned();
        if planned.audit.is_some() {
            auditors::ignore(&mut body, self.auditors.shunned(&planned.user));
        }
        let ask = Ask {
            job: index,
            url: format!("http://{}", planned.gateway),
            api_key: planned.api_key.as_deref().map_or(own_key, str::to_owned),
            body,
            streaming: planned.streaming,
        };
        job.state = JobState::Asked;
        (job.asked_at, job.gateway_up) = (Some(self.world.now()), gateway_up);
        let (leaves, stops) = (job.planned.leaves_after, job.planned.stops_reading_after);
        let name = planned.name.clone();
        let line = format!("user  asks {} for {name}: {}", planned.gateway, Value::from(planned.model()));
        self.say(index, &line);
        self.user_of(index, |user, now| user.ask(ask, now));
        let now = self.world.now();
        self.schedule(now + limits::JOB_TOTAL + DEADLINE_GRACE, Due::Deadline(index));
        if let Some(after) = leaves {
            self.schedule(now + after, Due::Leave(index));
        }
        if let Some(after) = stops {
            self.schedule(now + after, Due::StopReading(index));
        }
    }

    fn say(&mut self, job: usize, line: &str) {
        let name = self.jobs[job].planned.name.clone();
        if let Some(user) = self.hosts.get(&*self.jobs[job].planned.user).copied() {
            self.world.note_of(user, Some(&*name), line);
        }
    }

    /// Tells a job's user something, and takes what has ended by it.
    fn user_of(&mut self, job: usize, tell: impl FnOnce(&mut User, Now)) {
        let Some(host) = self.hosts.get(&*self.jobs[job].planned.user).copied() else { return };
        let now = self.world.host_now(host);
        self.world.command(host, |resident| {
            if let Resident::User(user) = resident {
                tell(user, now);
            }
        });
        self.collect(host);
    }

    /// Takes what a user was answered.
    fn collect(&mut self, host: HostId) {
        let answers = self.world.command(host, |resident| match resident {
            Resident::User(user) => user.take_answers(),
            _ => Vec::new(),
        });
        for (index, answer) in answers.unwrap_or_default() {
            if answer.broken && !self.may_break_off(&self.jobs[index]) {
                let name = &self.jobs[index].planned.name;
                let status = answer.status;
                self.findings
                    .push(format!("job {name}: the answer broke off without an error, HTTP {status}"));
            }
            self.look_at_routing(index, answer.request_id.as_deref());
            self.audit_answer(index, &answer);
            let trust = self.trust_in(&self.jobs[index].planned);
            let job = &mut self.jobs[index];
            let planned = &job.planned;
            let body = planned.body();
            match self.says.completion(&body) {
                Ok(produced) => {
                    let found = match trust {
                        Trust::Exact => safety::check(&body, planned.streaming, &answer, &produced),
                        Trust::Shape => safety::check_shape(planned.streaming, &answer),
                        Trust::Nothing => Vec::new(),
                    };
                    let name = &planned.name;
                    self.findings.extend(found.into_iter().map(|what| format!("job {name}: {what}")));
                }
                Err(_) if answer.text.is_empty() || trust != Trust::Exact => {}
                Err(why) => self.findings.push(format!("job {} was served, though: {why}", planned.name)),
            }
            let line = format!(
                "user  {}, req_{}: HTTP {}, {} bytes, finish {:?}, error {:?}{}",
                job.planned.name,
                answer.request_id.as_deref().unwrap_or("?"),
                answer.status,
                answer.text.len(),
                answer.finish_reason.as_deref().unwrap_or("none"),
                answer.error_code.as_deref().unwrap_or("none"),
                if answer.broken { ", broken off" } else { "" },
            );
            job.state = JobState::Ended(Box::new(Answered::of(answer, &self.nodes, &mut self.said)));
            job.ended_at = Some(self.world.now());
            self.say(index, &line);
            self.last_job_ended = self.world.now();
            if self.scenario.one_by_one {
                self.ask_next();
            }
        }
    }

    fn is_honest(&self, name: &str) -> bool {
        !self.dishonest.contains(name)
    }

    fn all_ended(&self) -> bool {
        let ended = |job: &Job| matches!(job.state, JobState::Ended(_));
        // Of a dishonest gateway's some never do.
        let over = |job: &Job| self.world.now() >= self.started + job.planned.at + limits::JOB_TOTAL;
        self.jobs.iter().all(|job| ended(job) || (over(job) && !self.rests(&job.planned.gateway)))
    }

    /// Lets time pass.
    fn nap(&mut self, span: Span) {
        let until = self.world.now() + span;
        self.schedule(until, Due::Nap);
        while self.world.now() < until && self.advance() {}
    }

    /// Asks a host's admin surface and lets the world go on until it answers.
    fn ask(&mut self, host: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let place = |why: String| format!("{method} {path} at {host}: {why}");
        let operator = self.operator.ok_or_else(|| place("there is no operator".into()))?;
        let ask = |resident: &mut Resident| match resident {
            Resident::Operator(operator) => Some(operator.ask(host, method, path, body)),
            _ => None,
        };
        let call = self.world.command(operator, ask).flatten();
        let call = call.ok_or_else(|| place("the operator is gone".into()))?;
        let give_up = self.world.now() + ADMIN_ANSWER;
        self.schedule(give_up, Due::Nap);
        while self.world.now() < give_up && self.advance() {
            let take = |resident: &mut Resident| match resident {
                Resident::Operator(operator) => operator.take(call),
                _ => None,
            };
            if let Some(answer) = self.world.command(operator, take).flatten() {
                return answer.map_err(place);
            }
        }
        Err(place("no answer in time".into()))
    }

    fn finish(mut self, report: &mut Report) {
        self.count_deeds();
        report.outcomes = Vec::with_capacity(self.jobs.len());
        for job in std::mem::take(&mut self.jobs) {
            let outcome = JobOutcome {
                asked_at_us: job.asked_at.map(|at| (at - self.started).0 / 1_000),
                ended_at_us: job.ended_at.map(|at| (at - self.started).0 / 1_000),
                ..outcome(&job)
            };
            let well = outcome.ending() == Ending::Completed;
            match self.trust_in(&job.planned) {
                _ if outcome.unasked => {}
                Trust::Exact => report.goodput.count(well),
                Trust::Shape => report.beside_cheats.count(well),
                Trust::Nothing => {}
            }
            report.outcomes.push(outcome);
        }
        report.thoughts = self.thoughts(report);
        report.count_work(self.idle().into_iter());
        report.settled = self.settled;
        report.trace_hash = self.world.trace_hash();
        report.virtual_time = Span(self.world.now().0);
        report.events = self.world.events();
        report.mesh = self.mesh_found.take();
        report.owed = self.owed;
        report.busy_ppm = self.busy_found;
        report.market = self.market_report(report);
        report.prices = self.price_report(report);
        report.routing = self.routing_report(report);
        report.audits = self.audit_report();
        let slots = |provider: &scenario::Provider| {
            provider.portmans.iter().map(|one| i64::from(one.slots)).sum::<i64>()
        };
        report.slots = self.scenario.providers.iter().map(slots).sum();
        report.marks = self.world.marks().clone();
        let not_begun = |(index, _): &(usize, _)| !self.begun.contains(index);
        let faults = self.scenario.faults.iter().enumerate().filter(not_begun);
        report.faults_not_begun = faults.map(|(_, fault)| fault.to_string()).collect();
        for job in report.outcomes.iter().filter(|job| !job.unasked) {
            let ending = format!("{:?}", job.ending()).to_lowercase();
            let code = job.error_code.as_deref().map(|code| format!(" with {code}")).unwrap_or_default();
            report.marks.note(&format!("a job {ending}"));
            report.marks.note_if(!code.is_empty(), &format!("a job {ending}{code}"));
        }
        report.failures = self.world.take_failures();
        report.failures.append(&mut self.findings);
        report.log = self.world.take_log();
    }
}

fn outcome(job: &Job) -> JobOutcome {
    let planned = &job.planned;
    let named = JobOutcome { job: planned.name.clone(), user: planned.user.clone(), ..JobOutcome::default() };
    let answer = match &job.state {
        JobState::Waiting => return JobOutcome { unasked: true, ..named },
        JobState::Asked => return named,
        JobState::Ended(answer) => answer,
    };
    JobOutcome {
        provider: answer.provider.clone(),
        http_status: answer.status,
        text: answer.text.to_string(),
        finish_reason: answer.finish_reason.clone(),
        error_code: answer.error_code.clone(),
        prompt_tokens: answer.prompt_tokens,
        completion_tokens: answer.completion_tokens,
        chunks: answer.chunks,
        ttft_us: answer.first_text_after.map(|span| span.0 / 1_000),
        took_us: answer.took.0 / 1_000,
        worth: planned.worth.map(|worth| worth_of(worth, answer.completion_tokens)),
        ..named
    }
}

/// In micro-units, of so many tokens where a million are worth that.
fn worth_of(worth: Micros, tokens: Option<u64>) -> i64 {
    let micros = i128::from(worth.0) * i128::from(tokens.unwrap_or(0)) / 1_000_000;
    i64::try_from(micros).unwrap_or(i64::MAX)
}
