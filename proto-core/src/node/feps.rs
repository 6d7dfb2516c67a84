//! Whether each FEP answered when it was last called, whoever called it. An operator is told when that changes.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Value, json};

use super::config;
use crate::identity::FepId;
use crate::machine::Level;
use crate::time::{Now, Time, Wall};

pub(crate) struct Feps {
    known: Vec<Known>,
}

struct Known {
    fep_id: FepId,
    url: String,
    state: State,
    /// When an answer of its came last.
    heard: Time,
}

#[derive(Clone, Copy)]
enum State {
    /// Nobody has called it in this life.
    Unknown,
    Answering(Now),
    Silent(Now),
}

impl Feps {
    pub(super) fn new(feps: &[config::Fep]) -> Self {
        let known = |fep: &config::Fep| Known {
            fep_id: fep.fep_id,
            url: fep.url.clone(),
            state: State::Unknown,
            heard: Time::ZERO,
        };
        Self { known: feps.iter().map(known).collect() }
    }

    /// A call of that time ended, with an answer of the FEP's own or without. What is to be told of it, if that is news.
    pub(super) fn called(
        &mut self,
        now: Now,
        url: &str,
        called: Time,
        answered: bool,
    ) -> Option<(Level, String)> {
        let mut told = None;
        for fep in self.known.iter_mut().filter(|fep| fep.url == url) {
            if answered {
                fep.heard = now.mono;
            } else if called < fep.heard {
                // It has answered another call since.
                continue;
            }
            let (state, news) = match (fep.state, answered) {
                (State::Answering(_), true) | (State::Silent(_), false) => continue,
                (State::Unknown, true) => (State::Answering(now), None),
                (State::Silent(_), true) => {
                    let text = format!("the FEP at {url} answers again");
                    (State::Answering(now), Some((Level::Info, text)))
                }
                (State::Unknown | State::Answering(_), false) => {
                    let text = format!(
                        "the FEP at {url} does not answer: see that it runs, that this host reaches it, and that \
                         `url` of its [[fep]] is right; it is called again until it answers"
                    );
                    (State::Silent(now), Some((Level::Warn, text)))
                }
            };
            fep.state = state;
            told = news;
        }
        told
    }

    /// It did not answer when it was last called.
    pub(crate) fn is_silent(&self, fep_id: FepId) -> bool {
        self.known.iter().any(|fep| fep.fep_id == fep_id && matches!(fep.state, State::Silent(_)))
    }

    pub(super) fn show(&self, now: Time) -> Vec<Value> {
        let show = |fep: &Known| {
            let (state, since) = match fep.state {
                State::Unknown => ("unknown", None),
                State::Answering(since) => ("answering", Some(since)),
                State::Silent(since) => ("not answering", Some(since)),
            };
            json!({
                "fep_id": fep.fep_id, "url": fep.url, "state": state,
                "since_ms": since.map(|Now { wall: Wall(ms), .. }| ms),
                "for_ms": since.map(|since| (now - since.mono).as_millis()),
            })
        };
        self.known.iter().map(show).collect()
    }
}
