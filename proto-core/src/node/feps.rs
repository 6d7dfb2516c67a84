//! What is known of each FEP that is trusted here: whether it answered when it was last called, whoever called it (an operator
//! is told when that changes), and by its descriptor which keys sign for it.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use serde_json::{Value, json};

use super::config;
use crate::identity::{FepId, FepKey, Network, NodeId};
use crate::keys::{BadDescriptor, BadPaper, Described, OfFep};
use crate::limits::DESCRIPTOR_EVERY;
use crate::machine::Level;
use crate::time::{Now, Time, Wall};
use crate::wire::cbor::Blob;
use crate::wire::object::Sealed;

pub(crate) struct Feps {
    known: Vec<Known>,
    /// Whose descriptor is to be asked for.
    wanted: BTreeSet<FepId>,
    /// Descriptors that are to be stored, and told on.
    news: Vec<News>,
}

/// A FEP has a descriptor that was not known here.
pub(super) struct News {
    pub(super) fep_id: FepId,
    /// Who told it, if not the FEP.
    pub(super) from: Option<NodeId>,
}

struct Known {
    fep_id: FepId,
    url: String,
    state: State,
    /// When an answer of its came last.
    heard: Time,
    described: Option<Described>,
    /// When the key ring in it was heard of in this life.
    ring_heard: Time,
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
            described: None,
            ring_heard: Time::ZERO,
        };
        Self { known: feps.iter().map(known).collect(), wanted: BTreeSet::new(), news: Vec::new() }
    }

    pub(super) fn each(&self) -> impl Iterator<Item = FepId> {
        self.known.iter().map(|fep| fep.fep_id)
    }

    pub(super) fn trusts(&self, fep_id: FepId) -> bool {
        self.url(fep_id).is_some()
    }

    pub(super) fn url(&self, fep_id: FepId) -> Option<&str> {
        self.known.iter().find(|fep| fep.fep_id == fep_id).map(|fep| fep.url.as_str())
    }

    /// As far as it is known.
    pub(crate) fn described(&self, fep_id: FepId) -> Option<&Described> {
        self.known.iter().find(|fep| fep.fep_id == fep_id)?.described.as_ref()
    }

    /// Somebody's papers can be checked.
    pub(crate) fn knows_any(&self) -> bool {
        self.known.iter().any(|fep| fep.described.is_some())
    }

    /// What was stored in an earlier life.
    pub(super) fn remember(&mut self, fep_id: FepId, described: &Described) {
        for fep in self.known.iter_mut().filter(|fep| fep.fep_id == fep_id) {
            fep.described = Some(described.clone());
        }
    }

    /// Takes a descriptor for the one in use, if it is news. One that is older, or of a FEP that is not trusted here, is no
    /// error.
    pub(crate) fn take(
        &mut self,
        network: Network,
        now: Time,
        fep_id: FepId,
        from: Option<NodeId>,
        bytes: &[u8],
    ) -> Result<(), BadDescriptor> {
        let Some(fep) = self.known.iter_mut().find(|fep| fep.fep_id == fep_id) else { return Ok(()) };
        if fep.described.as_ref().is_some_and(|known| known.bytes.0 == bytes) {
            return Ok(());
        }
        let described = Described::open(network, fep_id, bytes)?;
        let known = fep.described.as_ref();
        if known.is_none_or(|known| described.is_newer_than(known)) {
            if known.is_none_or(|known| described.keys.serial() > known.keys.serial()) {
                fep.ring_heard = now;
            }
            fep.described = Some(described);
            self.news.push(News { fep_id, from });
        }
        Ok(())
    }

    pub(super) fn take_news(&mut self) -> Vec<News> {
        core::mem::take(&mut self.news)
    }

    /// What whoever checks this FEP's papers may not have heard yet.
    pub(crate) fn fresh_descriptor(&self, fep_id: FepId, now: Time) -> Option<Blob> {
        let fep = self.known.iter().find(|fep| fep.fep_id == fep_id)?;
        let fresh = now < fep.ring_heard + DESCRIPTOR_EVERY;
        fep.described.as_ref().filter(|_| fresh).map(|described| described.bytes.clone())
    }

    pub(crate) fn want(&mut self, fep_id: FepId) {
        self.wanted.insert(fep_id);
    }

    pub(super) fn take_wanted(&mut self) -> BTreeSet<FepId> {
        core::mem::take(&mut self.wanted)
    }

    /// Does this paper bind that FEP now?
    pub(crate) fn binds_now<T: OfFep>(
        &mut self,
        fep_id: FepId,
        paper: &Sealed<T>,
        now: Wall,
    ) -> Result<(), BadPaper> {
        let keys = self.described(fep_id).map(|described| &described.keys);
        let verdict = keys.map_or(Err(BadPaper::NoKeys), |keys| keys.binds_now(paper, now));
        let expected = keys.and_then(|keys| keys.current(now, |_| true)).map(|key| key.key.0);
        if expected != Some(paper.signer) {
            // It may have another ring by now, and what it revoked with that is not known here.
            self.want(fep_id);
        }
        verdict
    }

    /// The keys of that FEP that sign no more, as far as is known now.
    pub(crate) fn revoked(&self, fep_id: FepId, now: Wall) -> Vec<FepKey> {
        let keys = self.described(fep_id).into_iter().flat_map(|described| described.keys.iter());
        keys.filter(|key| key.revoked_from_ms.is_some_and(|from| from <= now.0)).map(|key| key.key).collect()
    }

    /// Did this paper bind that FEP when it was issued?
    pub(crate) fn bound_when_issued<T: OfFep>(
        &mut self,
        fep_id: FepId,
        paper: &Sealed<T>,
    ) -> Result<(), BadPaper> {
        let keys = self.described(fep_id).map(|described| &described.keys);
        let verdict = keys.map_or(Err(BadPaper::NoKeys), |keys| keys.bound_when_issued(paper));
        if verdict.is_err_and(BadPaper::may_pass) {
            self.want(fep_id);
        }
        verdict
    }

    /// A call of that time ended, with an answer of the FEP's own or without. What is to be told of it, if that is news.
    pub(super) fn called(
        &mut self,
        now: Now,
        url: &str,
        called: Time,
        answered: bool,
    ) -> Option<(Level, String)> {
        let (mut told, mut fell_silent) = (None, None);
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
                    fell_silent = Some(fep.fep_id);
                    (State::Silent(now), Some((Level::Warn, text)))
                }
            };
            fep.state = state;
            told = news;
        }
        // Others may have no reason to call it: its operator is to see soon when it is back.
        self.wanted.extend(fell_silent);
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
                "key_ring": fep.described.as_ref().map(|described| described.keys.serial()),
            })
        };
        self.known.iter().map(show).collect()
    }
}
