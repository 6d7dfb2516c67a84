//! What people see of what is hosted.

use alloc::vec::Vec;

use serde_json::{Value, json};

use super::{Desk, Hosting, Model};
use crate::market::plan::{Candidate, Line};
use crate::market::policy::Shelf;
use crate::market::price::AS_CONFIGURED;
use crate::money::Micros;
use crate::node::config;
use crate::time::Time;

impl Hosting {
    /// For people: what is hosted, why, and what it would take to change.
    pub(super) fn show(&self, now: Time, desk: &Desk<'_>) -> Value {
        let endpoint = |(portman, shelf): (&config::Portman, &Shelf)| {
            let lines = self.decided.get(&portman.ep).map(Vec::as_slice).unwrap_or_default();
            let models = lines.iter().map(|line| self.show_line(desk, portman, line));
            let used = shelf.models.iter().filter(|(model, _)| desk.sockets.runs(&portman.ep, model));
            json!({
                "ep": portman.ep, "memory": shelf.memory, "used": used.map(|(_, hosted)| hosted.memory).fold(0, u64::saturating_add),
                "currency": portman.payout.currency, "models": models.collect::<Vec<_>>(),
            })
        };
        let next = self.due.next().map(|wake| (wake.at - now).as_millis());
        json!({
            "endpoints": desk.shelves().map(endpoint).collect::<Vec<_>>(), "next_ms": next, "epochs": self.epochs, "loads": self.loads,
        })
    }

    fn show_line(&self, desk: &Desk<'_>, portman: &config::Portman, line: &Line) -> Value {
        let Candidate { model, memory, worth, .. } = &line.candidate;
        let whereto = (portman.ep.clone(), model.clone());
        let known = self.models.get(&whereto);
        let runs = desk.sockets.runs(&portman.ep, model);
        let state = match self.moving.get(&whereto) {
            Some(step) => step.name(),
            None if runs => "runs",
            None => "on the shelf",
        };
        let micros = |thousandths: u64| Micros(i64::try_from(thousandths / 1_000).unwrap_or(i64::MAX));
        json!({
            "model": model, "state": state, "verdict": line.verdict.name(), "why": line.why, "memory": memory,
            "wanted_per_hour": known.map_or(0, |known| known.wanted.next() / 1_000),
            "slots_elsewhere": known.map_or(0, |known| known.elsewhere),
            "price_factor": known.and_then(|known| known.factor).unwrap_or(AS_CONFIGURED),
            "wins": known.map_or(1_000, Model::wins), "worth_per_hour": micros(*worth), "turns_at": line.turns_at.map(micros),
        })
    }
}
