//! Setting a scenario up: the FEP first, then accounts, keys, deposits and gateways by its operator, then everybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use labman_proto_core::identity::NodeId;
use labman_proto_core::time::Span;
use labman_proto_core::wire::topic::family;
use serde_json::{Value, json};

use super::{Account, Run};
use crate::cast::{Resident, portman_name};
use crate::check::liveness::hears;
use crate::check::notary::{Notary, Watched};
use crate::host::{HostId, Spec};
use crate::name::Name;
use crate::scenario::Gateway;

/// Every gateway must have heard of every model of its families within this.
const READY_WITHIN: Span = Span::from_secs(300);
/// How soon a gateway is asked again: at first, and at most.
const LOOK_FIRST: Span = Span::from_millis(250);
const LOOK_LAST: Span = Span::from_secs(4);

impl Run<'_> {
    pub(super) fn set_up(&mut self) -> Result<(), String> {
        let keys = self.cast.fep_keys();
        let held = keys.held().iter().map(|key| key.fep_key().0).collect();
        let notary = Notary::new(keys.network(), keys.fep_id(), held, self.watched());
        self.world.watch(Box::new(notary));
        let operator = self.cast.operator();
        self.operator = Some(self.add(operator));
        let fep = self.cast.fep();
        self.add(fep);
        self.open_accounts()?;
        self.quote_first()?;
        self.start_everybody();
        self.wait_for_models()
    }

    fn watched(&self) -> Watched {
        let scenario = self.scenario;
        let remembers = |host: &String| !scenario.forgets(host) && scenario.is_honest_host(host);
        // The wall clock keeps who forgot its last life from living it again: only both together may fail.
        let is_one = |host: &&String| {
            scenario.is_honest_host(host) && !(scenario.forgets(host) && scenario.loses_time(host))
        };
        let gateways = scenario.gateways.iter().map(|gateway| &gateway.name);
        let providers = scenario.providers.iter().map(|provider| &provider.name);
        let nodes: BTreeMap<&String, NodeId> =
            gateways.chain(providers).map(|name| (name, self.cast.node_id(name))).collect();
        let hosts = scenario.hosts().filter(remembers).map(|host| {
            let node_id = nodes.get(&host).copied();
            (host, node_id)
        });
        let one = nodes.iter().filter(|(name, _)| is_one(name)).map(|(_, node_id)| *node_id);
        Watched { hosts: hosts.collect(), nodes: one.collect() }
    }

    fn add(&mut self, spec: Spec<Resident>) -> HostId {
        let name = spec.name.clone();
        let host = self.world.add(spec);
        self.hosts.insert(name, host);
        host
    }

    fn open_accounts(&mut self) -> Result<(), String> {
        let fep = self.scenario.fep.name.as_str();
        for user in &self.scenario.users {
            let answer = self.ask(fep, "POST", "/users", Some(&json!({ "name": user.name })))?;
            let id = text(&answer, "user")?;
            let answer = self.ask(fep, "POST", "/keys", Some(&json!({ "user": id })))?;
            let account = Account { user: Name::from(id.as_str()), api_key: text(&answer, "api_key")? };
            self.accounts.insert(user.name.clone(), account);
            if user.deposit.0 > 0 {
                let reference = format!("deposit of {}", user.name);
                let body = json!({ "user": id, "amount": user.deposit.to_string(), "reference": reference });
                self.ask(fep, "POST", "/deposits", Some(&body))?;
            }
        }
        for fault in ["answer_lost", "ask_lost", "failed"] {
            if self.scenario.fep.rail_faults > 0 {
                let body = json!({ "rail": "test", "fault": fault, "times": self.scenario.fep.rail_faults });
                self.ask(fep, "POST", "/rails/faults", Some(&body))?;
            }
        }
        for gateway in &self.scenario.gateways {
            let body = json!({ "node_id": self.cast.node_id(&gateway.name), "name": gateway.name });
            self.ask(fep, "POST", "/gateways", Some(&body))?;
            if self.scenario.fep.gateways_paid_every.is_some() {
                let to = format!("sim:{}", gateway.name);
                let body = json!({ "gateway": self.cast.node_id(&gateway.name), "to": to });
                self.ask(fep, "POST", "/gateways/payout-to", Some(&body))?;
            }
            if self.scenario.fep.bond.0 > 0 {
                let (bond, reference) = (self.scenario.fep.bond, format!("bond of {}", gateway.name));
                let node_id = self.cast.node_id(&gateway.name);
                let body = json!({ "gateway": node_id, "amount": bond.to_string(), "reference": reference });
                self.ask(fep, "POST", "/bonds", Some(&body))?;
            }
        }
        Ok(())
    }

    fn start_everybody(&mut self) {
        for gateway in &self.scenario.gateways {
            let spec = self.cast.gateway(gateway);
            self.add(spec);
        }
        for provider in &self.scenario.providers {
            let spec = self.cast.provider(provider);
            self.add(spec);
            for portman in &provider.portmans {
                let (runtime, runner) =
                    (self.cast.runtime(provider, portman), self.cast.portman(provider, portman));
                debug_assert_eq!(runner.name, portman_name(provider, portman));
                self.add(runtime);
                self.add(runner);
            }
        }
        for user in &self.scenario.users {
            let spec = self.cast.user(user);
            let host = self.add(spec);
            self.users.insert(host);
        }
        for adversary in &self.scenario.adversaries {
            for spec in self.cast.adversary(adversary) {
                if let (Some(node_id), Some(SocketAddr::V6(from))) = (spec.node_id, spec.from) {
                    self.swarm.insert(node_id, u128::from(*from.ip()));
                }
                self.add(spec);
            }
        }
    }

    fn wait_for_models(&mut self) -> Result<(), String> {
        // What a dishonest party says of itself, or heard of others, is not waited for.
        let honest_providers =
            self.scenario.providers.iter().filter(|one| self.scenario.is_honest(&one.name));
        let expected: BTreeSet<String> = honest_providers.flat_map(|provider| provider.slugs()).collect();
        let give_up = self.world.now() + READY_WITHIN;
        let told = |gateway: &&Gateway| hears(self.scenario, gateway, |name| self.scenario.is_honest(name));
        for gateway in self.scenario.gateways.iter().filter(told) {
            let (families, mut pause) = (self.cast.families(gateway), LOOK_FIRST);
            loop {
                let status = self.ask(&gateway.name, "GET", "/status", None)?;
                let known = slugs(&status);
                let missing: Vec<_> =
                    expected.difference(&known).filter(|slug| serves(&families, slug)).collect();
                if missing.is_empty() {
                    break;
                }
                if self.world.now() >= give_up {
                    return Err(format!("{} never heard of {missing:?}", gateway.name));
                }
                self.nap(pause);
                pause = pause.doubled().min(LOOK_LAST);
            }
        }
        Ok(())
    }
}

pub(super) fn slugs(status: &Value) -> BTreeSet<String> {
    texts(status, "models", "slug")
}

/// Does a gateway of these families hear of that model? One that names none hears of all.
pub(super) fn serves(families: &[String], slug: &str) -> bool {
    families.is_empty() || families.contains(&family(slug))
}

pub(super) fn texts(status: &Value, list: &str, key: &str) -> BTreeSet<String> {
    let list = status.get(list).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|one| text(one, key).ok()).collect()
}

fn text(answer: &Value, key: &str) -> Result<String, String> {
    let text = answer.get(key).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("no {key:?} in {answer}"))
}
