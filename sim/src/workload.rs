//! What users ask, and when: the scenario's list of jobs, those that come at random, and those of real hours.
//!
//! Of those that come at random, when they come ([`pattern`]), who asks whom, for which model, and what it is worth to them ([`worth`]),
//! and whether they check what they are answered ([`audit`]), have a stream each: another pattern changes nobody's wishes.

pub mod audit;
pub mod pattern;
pub mod trace;
pub mod worth;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use audit::Auditing;
use labman_proto_core::money::Micros;
use labman_proto_core::rng::Seed;
use labman_proto_core::time::Span;
use labman_proto_core::toy::TOKENS_PER_MESSAGE;
use labman_proto_core::wire::topic::family;
use pattern::{Draws, Window};
use serde_json::{Value, json};
use trace::{Request, Shortened};

use crate::name::Name;
use crate::scenario::market::{Popularity, named};
use crate::scenario::{Arrivals, Gateway, Job, Replay, Scenario};

#[derive(Clone, Debug)]
pub struct Planned {
    pub name: Name,
    pub user: Name,
    pub gateway: Name,
    pub streaming: bool,
    /// In place of the user's own.
    pub api_key: Option<Name>,
    wish: Wish,
    /// Since the workload's start.
    pub at: Span,
    /// Since asking.
    pub leaves_after: Option<Span>,
    pub stops_reading_after: Option<Span>,
    /// What its user does with the answer, if it ever checks one.
    pub audit: Option<Auditing>,
    /// What its user would pay for a million tokens of output. `None`: any price.
    pub worth: Option<Micros>,
}

/// What is asked for. Of a million jobs few are under way: a request is written out when it is sent, or looked at.
#[derive(Clone, Debug)]
enum Wish {
    /// This, as others may ask for, too.
    Written(Arc<Value>),
    /// A prompt of so many words and an answer of so many tokens.
    Long { model: Name, prompt: u32, answer: u32 },
}

impl Planned {
    /// The request.
    pub fn body(&self) -> Cow<'_, Value> {
        match &self.wish {
            Wish::Written(body) => Cow::Borrowed(body),
            Wish::Long { model, prompt, answer } => {
                let prompt = vec!["lantern"; *prompt as usize].join(" ");
                let mut body = body(model, &prompt, self.streaming, Some(*answer));
                body["min_tokens"] = json!(answer);
                Cow::Owned(body)
            }
        }
    }

    /// That it names.
    pub fn model(&self) -> &str {
        match &self.wish {
            Wish::Written(body) => body["model"].as_str().unwrap_or_default(),
            Wish::Long { model, .. } => model,
        }
    }
}

/// All jobs of a run: first those of the list, in its order. What comes at random is asked of a gateway that serves the
/// model's family, by its `families`.
pub fn plan(scenario: &Scenario, seed: Seed, families: impl Fn(&Gateway) -> Vec<String>) -> Vec<Planned> {
    let mut planned: Vec<Planned> = scenario.jobs.iter().map(|job| listed(scenario, job)).collect();
    for arrivals in &scenario.arrivals {
        planned.extend(drawn(scenario, arrivals, seed, &families));
    }
    for replay in &scenario.replays {
        planned.extend(replayed(scenario, replay, seed, &families));
    }
    planned
}

/// Each copy is the whole hour, begun somewhere else in it. Prompts are words; answers are as long as they were.
fn replayed(
    scenario: &Scenario,
    replay: &Replay,
    seed: Seed,
    families: impl Fn(&Gateway) -> Vec<String>,
) -> Vec<Planned> {
    let users = names(scenario.users_of(&replay.user).map(|user| user.name.as_str()));
    let gateways = names(asked_gateways(scenario, &replay.model, families));
    let model = Name::from(replay.model.as_str());
    let mut who = seed.child("askers").stream(&replay.name);
    let mut one_of = |names: &[Name]| names[who.below(names.len() as u64) as usize].clone();
    // Of a prompt's tokens some are the template's, as they were in the service's own count.
    let mut prompts = Shortened::by(replay.tokens_by).beside(TOKENS_PER_MESSAGE as u32);
    let mut answers = Shortened::by(replay.tokens_by);
    let shortened = |request: Request| Request {
        prompt: prompts.of(request.prompt),
        answer: answers.of(request.answer),
        ..request
    };
    let requests: Vec<Request> = replay.trace.requests().map(shortened).collect();
    let hour = requests.last().map_or(0, |last| last.at.0) + 1;
    let shifted = |copy: u32| {
        let shift = hour / u64::from(replay.copies) * u64::from(copy);
        requests.iter().map(move |request| (Span((request.at.0 + shift) % hour), request))
    };
    let mut all: Vec<(Span, &Request)> = (0..replay.copies).flat_map(shifted).collect();
    all.retain(|(at, _)| (replay.from..replay.until).contains(at));
    all.sort_by_key(|(at, _)| *at);
    let planned = |(number, (at, request)): (usize, (Span, &Request))| Planned {
        name: format!("{}-{}", replay.name, number + 1).into(),
        user: one_of(&users),
        gateway: one_of(&gateways),
        streaming: true,
        api_key: None,
        wish: Wish::Long { model: model.clone(), prompt: request.prompt, answer: request.answer },
        at: Span(at.0 - replay.from.0) + replay.after,
        leaves_after: None,
        stops_reading_after: None,
        audit: None,
        worth: None,
    };
    all.into_iter().enumerate().map(planned).collect()
}

fn names<'a>(of: impl IntoIterator<Item = &'a str>) -> Vec<Name> {
    of.into_iter().map(Name::from).collect()
}

/// Those that serve the model's family.
fn asked_gateways<'s>(
    scenario: &'s Scenario,
    model: &str,
    families: impl Fn(&Gateway) -> Vec<String>,
) -> Vec<&'s str> {
    let (asked, all) = (family(model), scenario.gateways.iter());
    // Where nobody serves it, whoever is asked says so.
    let anybody = !all.clone().any(|gateway| serves_family(&families(gateway), &asked));
    let serves = |gateway: &&Gateway| anybody || serves_family(&families(gateway), &asked);
    all.filter(serves).map(|gateway| gateway.name.as_str()).collect()
}

fn listed(scenario: &Scenario, job: &Job) -> Planned {
    let mut body = body(&job.model, &job.prompt, job.stream, job.max_tokens);
    want(&mut body, job.provider.as_ref());
    if let Some(temperature) = job.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(min_tokens) = job.min_tokens {
        body["min_tokens"] = json!(min_tokens);
    }
    if let Some(seed) = job.seed {
        body["seed"] = json!(seed);
    }
    if let Some(stop) = &job.stop {
        body["stop"] = json!(stop);
    }
    Planned {
        name: Name::from(job.name.as_str()),
        user: Name::from(job.user.as_str()),
        gateway: gateway(scenario, job.gateway.as_deref()),
        streaming: job.stream,
        api_key: job.api_key.as_deref().map(Name::from),
        wish: Wish::Written(Arc::new(body)),
        at: job.at,
        leaves_after: job.leaves_after,
        stops_reading_after: job.stops_reading_after,
        audit: None,
        worth: None,
    }
}

fn drawn(
    scenario: &Scenario,
    arrivals: &Arrivals,
    seed: Seed,
    families: impl Fn(&Gateway) -> Vec<String>,
) -> Vec<Planned> {
    let users = names(scenario.users_of(&arrivals.user).map(|user| user.name.as_str()));
    let gateways = match &arrivals.gateway {
        Some(gateway) => names([gateway.as_str()]),
        None => names(asked_gateways(scenario, &arrivals.model, families)),
    };
    let mut who = seed.child("askers").stream(&arrivals.name);
    let mut one_of = |names: &[Name]| names[who.below(names.len() as u64) as usize].clone();
    let mut what = seed.child("wants").stream(&arrivals.name);
    let popularity = arrivals.zipf.as_ref().map(Popularity::of);
    let mut model = || match &popularity {
        Some(popularity) => named(&arrivals.model, popularity.draw(&mut what)),
        None => arrivals.model.clone(),
    };
    let mut worths = seed.child("values").stream(&arrivals.name);
    let mut audits = seed.child("audits").stream(&arrivals.name);
    let window = arrivals.window();
    let moments = arrivals.pattern.as_pattern().moments(&window, &mut Draws::of(seed, &arrivals.name));
    let request = |model: &str| {
        let mut body = body(model, &arrivals.prompt, arrivals.stream, arrivals.max_tokens);
        want(&mut body, arrivals.provider.as_ref());
        body
    };
    let mut written: BTreeMap<String, Arc<Value>> = BTreeMap::new();
    let planned = |(number, at): (usize, Span)| {
        let (model, worth) = (model(), arrivals.values.as_ref().map(|worth| worth.draw(&mut worths)));
        let body = match worth {
            Some(worth) => {
                let mut body = request(&model);
                body["provider"]["max_price"] = json!({ "completion": worth.to_string() });
                Arc::new(body)
            }
            None => written.entry(model).or_insert_with_key(|model| Arc::new(request(model))).clone(),
        };
        Planned {
            name: format!("{}-{}", arrivals.name, number + 1).into(),
            user: one_of(&users),
            gateway: one_of(&gateways),
            streaming: arrivals.stream,
            api_key: None,
            wish: Wish::Written(body),
            at,
            leaves_after: None,
            stops_reading_after: None,
            audit: arrivals.audit.map(|rule| rule.draw(&mut audits)),
            worth,
        }
    };
    moments.into_iter().enumerate().map(planned).collect()
}

impl Arrivals {
    pub fn window(&self) -> Window {
        Window { from: self.from, until: self.until, every: self.every }
    }
}

/// A gateway that names no families serves all.
fn serves_family(families: &[String], family: &String) -> bool {
    families.is_empty() || families.contains(family)
}

fn want(body: &mut Value, provider: Option<&toml::Table>) {
    if let Some(provider) = provider {
        body["provider"] = json!(provider);
    }
}

fn body(model: &str, prompt: &str, stream: bool, max_tokens: Option<u32>) -> Value {
    let mut body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": prompt }],
        "stream": stream,
    });
    if stream {
        body["stream_options"] = json!({ "include_usage": true });
    }
    if let Some(max_tokens) = max_tokens {
        body["max_tokens"] = json!(max_tokens);
    }
    body
}

fn gateway(scenario: &Scenario, named: Option<&str>) -> Name {
    let first = scenario.gateways.first().map(|gateway| gateway.name.as_str());
    named.or(first).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::load;

    #[test]
    fn an_hour_that_begins_later_is_the_same_hour() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/research/real-hour.toml");
        let mut scenario = load(&path).unwrap();
        scenario.replays[0].copies = 1;
        let mut asked = |after| {
            scenario.replays[0].after = after;
            let planned = plan(&scenario, Seed::from_u64(1), |_| Vec::new());
            planned.into_iter().map(|job| (job.at, job.user, job.gateway)).collect::<Vec<_>>()
        };
        let (at_once, later) = (asked(Span(0)), asked(Span::from_secs(120)));
        assert_eq!(at_once.len(), 19_366);
        let delayed =
            at_once.into_iter().map(|(at, user, gateway)| (at + Span::from_secs(120), user, gateway));
        assert_eq!(later, delayed.collect::<Vec<_>>());
    }
}
