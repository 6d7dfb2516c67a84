//! Keeps the connections that the operator asked for: dials, and dials again with doubling, jittered pauses.

use alloc::{string::String, vec::Vec};

use crate::limits::{REDIAL_FIRST, REDIAL_LAST};
use crate::machine::{LinkId, OpId, Target};
use crate::node::config::Bootstrap;
use crate::node::cx::Cx;
use crate::rng::Stream;
use crate::time::{Span, Time, Wake};

pub(crate) struct Dialler {
    wanted: Vec<Wanted>,
    rng: Stream,
}

struct Wanted {
    peer: Bootstrap,
    state: State,
    pause: Span,
}

enum State {
    Waiting { until: Time },
    Dialling(OpId),
    Up { link: LinkId, admitted: Option<Time> },
}

impl Dialler {
    pub(crate) fn new(bootstrap: &[Bootstrap], rng: Stream, now: Time) -> Self {
        let wanted = bootstrap.iter().cloned();
        Self {
            wanted: wanted
                .map(|peer| Wanted { peer, state: State::Waiting { until: now }, pause: REDIAL_FIRST })
                .collect(),
            rng,
        }
    }

    pub(crate) fn dialled(&mut self, cx: &mut Cx<'_>, op: OpId, result: Result<LinkId, String>) {
        let Some(wanted) = self.wanted.iter_mut().find(|w| matches!(w.state, State::Dialling(o) if o == op))
        else {
            return;
        };
        match result {
            Ok(link) => wanted.state = State::Up { link, admitted: None },
            Err(error) => {
                // Said once: the pauses that follow would fill a log.
                if wanted.pause == REDIAL_FIRST {
                    cx.warn(alloc::format!(
                        "can't reach {} at {}: {error}; trying again until it answers",
                        wanted.peer.node_id,
                        wanted.peer.addr
                    ));
                }
                wanted.wait(cx.now.mono, &mut self.rng);
            }
        }
    }

    pub(crate) fn admitted(&mut self, link: LinkId, now: Time) {
        for wanted in &mut self.wanted {
            match &mut wanted.state {
                State::Up { link: up, admitted } if *up == link => *admitted = Some(now),
                State::Up { .. } | State::Waiting { .. } | State::Dialling(_) => {}
            }
        }
    }

    /// Only a link that lasted was a success: a peer that refuses us is connected, too, for a moment, and one that breaks
    /// the protocol is admitted first.
    pub(crate) fn link_down(&mut self, link: LinkId, now: Time) {
        for wanted in &mut self.wanted {
            let State::Up { link: up, admitted } = wanted.state else { continue };
            if up != link {
                continue;
            }
            if admitted.is_some_and(|since| now - since >= REDIAL_LAST) {
                wanted.pause = REDIAL_FIRST;
            }
            wanted.wait(now, &mut self.rng);
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        for wanted in &mut self.wanted {
            if matches!(wanted.state, State::Waiting { until } if until <= cx.now.mono) {
                let (addr, node_id) = (wanted.peer.addr.clone(), wanted.peer.node_id);
                wanted.state = State::Dialling(cx.dial(Target::Mesh { addr, node_id }));
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        let waiting = self.wanted.iter().filter_map(|wanted| match wanted.state {
            State::Waiting { until } => Some(until),
            State::Dialling(_) | State::Up { .. } => None,
        });
        waiting.min().map(|at| Wake { at, why: "dial a bootstrap peer" })
    }
}

impl Wanted {
    /// Half of the pause is certain, half is jitter: peers of one that restarts do not all come back at once.
    fn wait(&mut self, now: Time, rng: &mut Stream) {
        let half = self.pause.0 / 2;
        self.state = State::Waiting { until: now + Span(half + rng.below(half + 1)) };
        self.pause = self.pause.doubled().min(REDIAL_LAST);
    }
}
