//! What a seed stands for: a whole scenario, every knob of it drawn. Kinds of fault are switched on or off for a run
//! (swarm testing: Groce et al., "Swarm Testing", ISSTA 2012), so that one kind does not always hide another.
//!
//! A run works and suffers for some minutes, then all is healed but for a few hosts sometimes, and what is sound must
//! work. In a tenth of the seeds nothing heals.

use std::collections::BTreeSet;

use labman_proto_core::economics::{Fees, Price};
use labman_proto_core::limits::{DISPUTE_TERM, EXPOSURE, LOAD_EVERY, QUOTE_LIFE};
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::rng::{Seed, Stream};
use labman_proto_core::time::Span;
use labman_proto_core::toy::config::Thinks;

use super::mesh::{self, Attack};
use crate::adversary::{self, Dishonest, ON_THE_MESH};
use crate::faults::{Clog, Fault, Inject, KINDS, Stage};
use crate::net::latency::Latency;
use crate::scenario::{Fep, Gateway, Job, LatencyTable, Portman, Provider, Quote, Scenario, Scheme, User};

/// Users ask, and faults begin, within this.
const TROUBLED: Span = Span::from_secs(12 * 60);
const HEALED_AT: Span = Span::from_secs(13 * 60);
/// Jobs that must be served are asked for from here on.
const PROBED_FROM: Span = Span::from_secs(14 * 60 + 30);
/// What the longest of them may take: one ends before the next begins, or it could find all slots taken.
const LONG_PROBE: Span = Span::from_secs(100);
/// Longer than a record lives: one that nobody renews has expired by the end. Long enough, too, that the last hold has.
const DURATION: Span = Span::from_secs(36 * 60);

const MODELS: [&str; 4] = ["lantern", "harbour-7b", "tide", "gull:8b-q4"];

/// What the worlds of a search are to try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// All that can befall a mesh
    #[default]
    Everything,
    /// What can be tried with money: small worlds, poor users, thin bonds, crashes, and somebody dishonest in most
    Money,
}

impl Profile {
    /// In each world, where nothing else is said.
    pub const fn nodes(self) -> u16 {
        match self {
            Self::Everything => 25,
            Self::Money => 12,
        }
    }
}

/// The scenario that this seed stands for, with so many nodes.
pub fn plan(profile: Profile, seed: u64, nodes: usize) -> Scenario {
    match profile {
        Profile::Everything => everything(seed, nodes, true),
        Profile::Money => money(seed, nodes),
    }
}

/// Kinds of fault and of dishonesty that have to do with money.
const OF_MONEY: [&str; 11] = [
    "crash",
    "disk-lost",
    "torn",
    "disk-full",
    "disk-fails",
    "disk-slow",
    "clock-jump",
    "clock-freeze",
    "partition",
    "clog",
    "key-rotation",
];
const LIARS: [&str; 6] =
    ["lying-fep", "lying-gateway", "lying-provider", "replayer", "forger", "good-then-bad"];

fn money(seed: u64, nodes: usize) -> Scenario {
    let mut scenario =
        Scenario { name: "money".into(), network: "money".into(), ..everything(seed, nodes, false) };
    let mut draws = Seed::from_u64(seed).child("money").stream("draws");
    scenario.adversaries.clear();
    scenario.faults.retain(|fault| OF_MONEY.contains(&fault.inject.name()));
    let mut cut = Seed::from_u64(seed).child("money").stream("cut off from the FEP");
    if chance(&mut cut, 50) {
        cut_off(&mut scenario, &mut cut);
    }
    // More than one provider of each model, or nobody could be next.
    for (number, provider) in scenario.providers.iter_mut().enumerate() {
        for portman in &mut provider.portmans {
            portman.model = MODELS[number % 2].into();
        }
    }
    let rich = scenario.users.len() - 1;
    for user in scenario.users.iter_mut().take(rich).skip(1) {
        user.deposit = Micros([500, 3_000, 20_000, 1_000_000_000][draws.below(4) as usize]);
    }
    scenario.fep.rail_faults = if chance(&mut draws, 30) { 1 } else { 0 };
    let probed = scenario.healed_at.is_some();
    let mut paying = Seed::from_u64(seed).child("money").stream("gateways are paid");
    scenario.fep.gateways_paid_every = chance(&mut paying, 60).then_some(Span::from_secs(1));
    // Of a stream of its own: where nothing is exchanged, all else is as it would be if it never were.
    let mut exchanging = Seed::from_u64(seed).child("money").stream("exchange");
    if chance(&mut exchanging, 40) {
        exchange(&mut scenario, &mut exchanging);
    }
    scenario.jobs = jobs(&scenario, &mut draws);
    about_the_quotes(&mut scenario, &mut exchanging);
    scenario.fep.strategy = None;
    scenario.gateways.iter_mut().for_each(|gateway| gateway.strategy = None);
    scenario.providers.iter_mut().for_each(|provider| provider.strategy = None);
    if chance(&mut draws, 70) {
        adversary::draw(&LIARS, &Stage::of(&scenario), TROUBLED, &mut draws).apply(&mut scenario);
    }
    // It takes few gateways to lose money by.
    if scenario.fep.strategy.is_none() && chance(&mut draws, 40) {
        let one = draws.below(scenario.gateways.len() as u64) as usize;
        scenario.gateways[one].strategy = Some(Dishonest::LyingGateway);
    }
    if probed {
        scenario.jobs.extend(probes(&scenario, &mut draws));
    }
    scenario
}

/// Now and then a FEP hears nothing of a gateway, or is not heard by it: most jobs are asked for just before, and end just then.
fn cut_off(scenario: &mut Scenario, draws: &mut Stream) {
    let fep = &scenario.fep.name;
    for _ in 0..between(draws, 2, 5) {
        let one = draws.below(scenario.gateways.len() as u64) as usize;
        let gateway = &scenario.gateways[one].name;
        let (from, to) = if chance(draws, 50) { (gateway, fep) } else { (fep, gateway) };
        let inject = Inject::Clog(Clog { from: from.clone(), to: to.clone() });
        let (at, lasting) = (within(draws, TROUBLED), Span::from_secs(between(draws, 10, 60)));
        scenario.faults.push(Fault { at, lasting, inject });
    }
}

/// Some are paid in another currency, whose quote changes, and now and then lapses, until all is well again.
fn exchange(scenario: &mut Scenario, draws: &mut Stream) {
    let currency: Currency = "EUR".parse().expect("EUR is a currency code");
    for portman in scenario.providers.iter_mut().flat_map(|provider| &mut provider.portmans) {
        portman.currency = chance(draws, 50).then(|| currency.clone());
    }
    let mut quote = |at: Span, valid_for: Span| {
        let rate = format!("{}/1000", between(draws, 100, 3_000)).parse().expect("a rate of small numbers");
        scenario.fep.quotes.push(Quote { currency: currency.clone(), rate, at, valid_for });
    };
    let (changes, every) = (6, Span::from_secs(100));
    quote(Span::default(), QUOTE_LIFE);
    for number in 1..=changes {
        // Some lapse before the next is set.
        let valid_for = if number % 3 == 0 { Span(every.0 / 2) } else { QUOTE_LIFE };
        quote(Span(every.0 * number), valid_for);
    }
    quote(HEALED_AT, QUOTE_LIFE);
}

/// Half of the jobs run while a quote changes.
fn about_the_quotes(scenario: &mut Scenario, draws: &mut Stream) {
    let changes: Vec<Span> = scenario.fep.quotes.iter().map(|quote| quote.at).skip(1).collect();
    for job in scenario.jobs.iter_mut().filter(|_| !changes.is_empty()) {
        let change = changes[draws.below(changes.len() as u64) as usize].min(TROUBLED);
        if chance(draws, 50) {
            job.at = Span(change.0.saturating_sub(within(draws, Span::from_secs(4)).0));
        }
    }
}

/// Sometimes with an attack on the mesh itself, where that may be attacked.
fn everything(seed: u64, nodes: usize, attackable: bool) -> Scenario {
    let seed = Seed::from_u64(seed).child("plan");
    let mut draws = seed.stream("cast");
    let gateways = 1 + draws.below((nodes as u64 / 5).max(1)) as usize;
    let mut scenario = Scenario {
        mesh: None,
        ticks: None,
        name: "fuzz".into(),
        network: "fuzz".into(),
        duration: DURATION,
        one_by_one: false,
        whole: true,
        measure_from: Span::default(),
        check_every: Span::from_secs(20),
        scheme: if draws.below(100) == 0 { Scheme::Ed25519 } else { Scheme::Tag },
        latency: latency(&mut seed.stream("latency")),
        fep: fep(&mut draws),
        gateways: (1..=gateways).map(|number| gateway(number, &mut draws)).collect(),
        providers: (1..=nodes.saturating_sub(gateways).max(1)).map(|n| provider(n, &mut draws)).collect(),
        users: users(&mut draws),
        jobs: Vec::new(),
        arrivals: Vec::new(),
        faults: Vec::new(),
        adversaries: Vec::new(),
        healed_at: None,
        replays: Vec::new(),
        expects: Vec::new(),
        oracles: Vec::new(),
        baselines: Vec::new(),
        variants: Vec::new(),
        churns: Vec::new(),
    };
    let heals = draws.below(10) > 0;
    // Of a stream of its own: where the mesh is not attacked, all else is as it would be if it never were.
    let mut hostile = seed.stream("hostile mesh");
    let attack = (chance(&mut hostile, 15) && attackable).then(|| Attack::draw(&mut hostile));
    if let Some(attack) = attack {
        attack.enlist(&mut scenario, &mut hostile);
    }
    scenario.faults = faults(&scenario, heals, seed);
    if attack.is_some() {
        for death in mesh::deaths(&scenario, TROUBLED, &mut hostile) {
            add(&mut scenario.faults, death);
        }
    }
    // A gateway that no provider dials may serve a job, and never find a way to bring the receipt.
    let whole = attack.is_none_or(Attack::is_whole);
    if whole {
        scenario.jobs = jobs(&scenario, &mut seed.stream("jobs"));
    }
    if chance(&mut draws, 35) && attack.is_none() {
        dishonest(&mut scenario, &mut seed.stream("dishonest"));
    }
    // Of a stream of its own, too. It lies about nothing, so that all else can be asked of the run.
    let mut patience = seed.stream("a FEP that lets others wait");
    if scenario.fep.strategy.is_none() && attack.is_none() && chance(&mut patience, 6) {
        let kinds: Vec<Dishonest> =
            Dishonest::ALL.iter().copied().filter(|kind| kind.is_truthful()).collect();
        scenario.fep.strategy = Some(kinds[patience.below(kinds.len() as u64) as usize]);
    }
    if heals {
        scenario.healed_at = Some(HEALED_AT);
        if whole {
            scenario.jobs.extend(probes(&scenario, &mut seed.stream("probes")));
        }
    }
    scenario
}

fn between(draws: &mut Stream, least: u64, most: u64) -> u64 {
    least + draws.below(most - least + 1)
}

fn within(draws: &mut Stream, span: Span) -> Span {
    Span::from_millis(draws.below(span.as_millis()))
}

fn chance(draws: &mut Stream, percent: u64) -> bool {
    draws.below(100) < percent
}

fn latency(draws: &mut Stream) -> LatencyTable {
    let span = |draws: &mut Stream| {
        let least = between(draws, 1, 80);
        Latency::Uniform(Span::from_millis(least), Span::from_millis(least + draws.below(100)))
    };
    LatencyTable {
        mesh: span(draws),
        http: span(draws),
        local: Latency::Constant(Span::from_nanos(between(draws, 20_000, 2_000_000))),
        disk: Latency::Exponential(Span::from_nanos(between(draws, 100_000, 20_000_000))),
        geography: chance(draws, 50),
    }
}

fn fep(draws: &mut Stream) -> Fep {
    let fees = Fees { fep_bps: draws.below(500) as u32, gateway_bps: draws.below(1_000) as u32 };
    // Some gateways have nothing to answer with, or too little.
    let bond = Micros([0, 5_000, 1_000_000, 100_000_000][draws.below(4) as usize]);
    let currency = crate::scenario::default_currency();
    Fep {
        name: "fep".into(),
        currency,
        fees,
        bond,
        rail_faults: 0,
        strategy: None,
        late: None,
        defaults_at: None,
        quotes: Vec::new(),
        gateways_paid_every: None,
    }
}

fn gateway(number: usize, draws: &mut Stream) -> Gateway {
    // The first lets dials in, so that a provider has somebody to dial.
    let nat = number > 1 && chance(draws, 10);
    Gateway {
        families: Vec::new(),
        families_each: None,
        routing: None,
        key_limits: None,
        name: format!("g{number}"),
        count: None,
        dials: None,
        max_links: None,
        nat,
        wall_offset_ms: skew(draws),
        strategy: None,
    }
}

fn provider(number: usize, draws: &mut Stream) -> Provider {
    let portmans = if chance(draws, 20) { 2 } else { 1 };
    Provider {
        name: format!("p{number}"),
        count: None,
        dials: None,
        tenant: format!("t{number}"),
        claim_every: Span::from_secs(between(draws, 10, 90)),
        dispute_for: if number.is_multiple_of(3) { Span::from_secs(4 * 60) } else { DISPUTE_TERM },
        // Of some a FEP may owe little: a few jobs.
        exposure: if number.is_multiple_of(4) { Micros(1_000) } else { EXPOSURE },
        hosting: Default::default(),
        load_every: LOAD_EVERY,
        wall_offset_ms: skew(draws),
        strategy: None,
        portmans: (1..=portmans).map(|number| portman(number, draws)).collect(),
    }
}

fn portman(number: usize, draws: &mut Stream) -> Portman {
    let price = |draws: &mut Stream| Micros(draws.below(2_000_000) as i64);
    let model = MODELS[draws.below(MODELS.len() as u64) as usize].into();
    let price = Price {
        input_per_mtok: price(draws),
        cached_per_mtok: Micros::ZERO,
        output_per_mtok: price(draws),
        per_request: Micros(draws.below(200) as i64),
    };
    let slots = between(draws, 1, 6) as u32;
    Portman {
        ep: format!("e{number}"),
        model,
        price,
        slots,
        // Some let wait, some refuse at once.
        queue: if slots.is_multiple_of(2) { slots } else { 0 },
        context_length: 4096,
        token_every: Span::from_millis(between(draws, 5, 120)),
        prompt_token_every: Span::default(),
        thinks: Thinks::default(),
        first_token: None,
        ends_after: Span::default(),
        fails: 0,
        turns: None,
        impostor: false,
        least_payout: if chance(draws, 30) { Micros(draws.below(2_000) as i64) } else { Micros::ZERO },
        currency: None,
        shelf: None,
        pricing: Default::default(),
    }
}

/// Within what the protocol forgives.
fn skew(draws: &mut Stream) -> i64 {
    draws.below(50_000) as i64 - 25_000
}

fn users(draws: &mut Stream) -> Vec<User> {
    let users = between(draws, 2, 6);
    let user = |number| User {
        name: format!("u{number}"),
        count: None,
        // The last has nothing.
        deposit: if number == users { Micros::ZERO } else { Micros(1_000_000_000) },
    };
    (1..=users).map(user).collect()
}

fn jobs(scenario: &Scenario, draws: &mut Stream) -> Vec<Job> {
    let number = between(draws, 20, 60);
    (1..=number)
        .map(|number| Job { at: moment(scenario, draws), ..job(scenario, format!("j{number}"), draws) })
        .collect()
}

/// Mostly about when a fault begins or ends: that is when there is something to break.
fn moment(scenario: &Scenario, draws: &mut Stream) -> Span {
    if scenario.faults.is_empty() || chance(draws, 25) {
        return within(draws, TROUBLED);
    }
    let fault = &scenario.faults[draws.below(scenario.faults.len() as u64) as usize];
    let edge = if chance(draws, 70) { fault.at } else { fault.at + fault.lasting };
    // Up to four seconds before, up to two after.
    let at = (edge + within(draws, Span::from_secs(6))).0.saturating_sub(Span::from_secs(4).0);
    Span(at).min(TROUBLED)
}

fn job(scenario: &Scenario, name: String, draws: &mut Stream) -> Job {
    let one_of = |draws: &mut Stream, number: usize| draws.below(number as u64) as usize;
    let slugs: Vec<String> = scenario.providers.iter().flat_map(Provider::slugs).collect();
    let model = match draws.below(20) {
        0 => "nobody:has:this".into(),
        1..=9 => MODELS[one_of(draws, MODELS.len())].into(),
        _ => slugs[one_of(draws, slugs.len())].clone(),
    };
    let long = chance(draws, 6);
    Job {
        user: asker(scenario, draws),
        gateway: Some(scenario.gateways[one_of(draws, scenario.gateways.len())].name.clone()),
        model,
        prompt: format!("Tell me of {name}, please, and of the sea."),
        max_tokens: chance(draws, 80).then(|| if long { 700 } else { between(draws, 1, 50) as u32 }),
        provider: None,
        min_tokens: long.then(|| between(draws, 200, 600) as u32),
        stream: chance(draws, 80),
        temperature: chance(draws, 30).then(|| draws.below(20) as f64 / 10.0),
        seed: chance(draws, 30).then(|| draws.below(1_000) as i64),
        stop: chance(draws, 10).then(|| vec!["the ".into()]),
        at: Span::default(),
        api_key: chance(draws, 3).then(|| "sk-labman-wrong".into()),
        leaves_after: chance(draws, 8).then(|| within(draws, Span::from_secs(6))),
        stops_reading_after: chance(draws, 5).then(|| within(draws, Span::from_secs(6))),
        name,
    }
}

/// Now and then the one who has nothing.
fn asker(scenario: &Scenario, draws: &mut Stream) -> String {
    let last = scenario.users.len() - 1;
    let user = if chance(draws, 5) { last } else { draws.below(last as u64) as usize };
    scenario.users[user].name.clone()
}

/// Kinds are drawn first, then how many of each: most runs know some kinds only.
fn faults(scenario: &Scenario, heals: bool, seed: Seed) -> Vec<Fault> {
    let mut draws = seed.stream("faults");
    let stage = Stage::of(scenario);
    let left_behind = heals && chance(&mut draws, 25);
    let mut faults = Vec::new();
    for (kind, name) in KINDS.iter().enumerate() {
        if chance(&mut draws, 50) {
            continue;
        }
        for _ in 0..between(&mut draws, 1, 4) {
            let Some((inject, lasting)) = Inject::draw(kind, &stage, &mut draws) else { continue };
            let at = within(&mut draws, TROUBLED);
            let most = if heals { Span(HEALED_AT.0 - at.0) } else { Span(DURATION.0 - at.0) };
            let forever = if heals { left_behind && *name == "crash" } else { chance(&mut draws, 30) };
            let lasting = if forever { Span(DURATION.0 - at.0) } else { lasting.min(most) };
            add(&mut faults, Fault { at, lasting, inject });
        }
    }
    keep_keys_known(&scenario.fep.name, &mut faults);
    keep_lives_in_order(&mut faults);
    faults
}

/// Who has lost its disk knows by its clock alone that its life is a later one than the last: if that was set back, nobody
/// takes its records for new.
fn keep_lives_in_order(faults: &mut Vec<Fault>) {
    let jumps = |fault: &Fault| matches!(fault.inject, Inject::ClockJump(_) | Inject::ClockFreeze(_));
    let jumping: BTreeSet<String> = faults
        .iter()
        .filter(|fault| jumps(fault))
        .flat_map(|fault| fault.inject.hosts())
        .map(String::from)
        .collect();
    faults.retain(|fault| match &fault.inject {
        Inject::DiskLost(lost) => !jumping.contains(&lost.host),
        _ => true,
    });
}

/// A FEP that forgot its key ring signs by keys that others know to be revoked, until its operator puts it in force again. And one
/// whose clock goes wrong dates papers after the revocation of the key that it signed them by. Both are losses of its own
/// making.
fn keep_keys_known(fep: &str, faults: &mut Vec<Fault>) {
    let befalls = |inject: &Inject| inject.hosts().contains(&fep);
    let forgets =
        faults.iter().any(|fault| matches!(fault.inject, Inject::RollBack(_)) && befalls(&fault.inject));
    let loses_time = faults.iter().any(|fault| {
        matches!(fault.inject, Inject::ClockJump(_) | Inject::ClockFreeze(_)) && befalls(&fault.inject)
    });
    faults.retain(|fault| !forgets || !matches!(fault.inject, Inject::KeyRotation(_)));
    for fault in faults.iter_mut() {
        if let Inject::KeyRotation(rotation) = &mut fault.inject {
            rotation.revokes &= !loses_time;
        }
    }
}

fn add(faults: &mut Vec<Fault>, fault: Fault) {
    if !faults.iter().any(|other| overlap(other, &fault)) {
        faults.push(fault);
    }
}

/// Whether the end of one would be the end of the other: they do the same to the same host at the same time.
fn overlap(one: &Fault, other: &Fault) -> bool {
    let does = |fault: &Fault| match fault.inject.name() {
        // They last as long as they said when they began, whoever else ends.
        "partition" | "clog" | "stall" | "reconnect" => None,
        "crash" | "torn" | "roll-back" | "disk-lost" | "leave" => Some("dies"),
        "disk-fails" | "disk-full" => Some("does not write"),
        other => Some(other),
    };
    let (ours, theirs) = (one.inject.hosts(), other.inject.hosts());
    let together = ours.iter().any(|host| theirs.contains(host)) || (ours.is_empty() && theirs.is_empty());
    let meets = one.at <= other.at + other.lasting && other.at <= one.at + one.lasting;
    does(one).is_some() && does(one) == does(other) && together && meets
}

/// Some kinds of dishonesty, as with faults.
fn dishonest(scenario: &mut Scenario, draws: &mut Stream) {
    let kinds = adversary::KINDS.iter().copied().filter(|kind| !ON_THE_MESH.contains(kind));
    let kinds: Vec<&str> = kinds.filter(|_| chance(draws, 50)).collect();
    adversary::draw(&kinds, &Stage::of(scenario), TROUBLED, draws).apply(scenario);
}

/// For each gateway a job at some providers, when all is well again.
fn probes(scenario: &Scenario, draws: &mut Stream) -> Vec<Job> {
    // At providers that let a FEP owe them as much as these come to.
    let roomy = scenario.providers.iter().filter(|provider| provider.exposure == EXPOSURE);
    let slugs: Vec<String> = roomy.flat_map(Provider::slugs).collect();
    let mut probes = Vec::new();
    for gateway in &scenario.gateways {
        for _ in 0..3 {
            let name = format!("probe{}", probes.len() + 1);
            probes.push(Job {
                user: "u1".into(),
                gateway: Some(gateway.name.clone()),
                model: slugs[draws.below(slugs.len() as u64) as usize].clone(),
                at: PROBED_FROM + Span::from_secs(4 * probes.len() as u64),
                max_tokens: Some(20),
                min_tokens: None,
                stop: None,
                api_key: None,
                leaves_after: None,
                stops_reading_after: None,
                ..job(scenario, name, draws)
            });
        }
    }
    let short = probes.len() as u64;
    for (number, gateway) in scenario.gateways.iter().enumerate() {
        let template = probes[number * 3].clone();
        probes.push(Job {
            name: format!("long{}", number + 1),
            model: slugs[draws.below(slugs.len() as u64) as usize].clone(),
            prompt: format!("Tell {} a long story.", gateway.name),
            at: PROBED_FROM + Span::from_secs(4 * short) + Span(LONG_PROBE.0 * number as u64),
            max_tokens: Some(700),
            // Longer than one window of every stream it travels on.
            min_tokens: Some(500),
            ..template
        });
    }
    probes
}
