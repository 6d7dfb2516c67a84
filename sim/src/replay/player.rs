//! One life of a machine, made and called as the journal says, and compared after each call.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use labman_proto_core::identity::{Identity, Scheme, Verify, verify_strict};
use labman_proto_core::journal::{Call, Config, Fault, Header, Life, Outcome, Said, Tally};
use labman_proto_core::machine::{Machine, Output};
use labman_proto_core::node::Node;
use labman_proto_core::portal::{Portal, Signers};
use labman_proto_core::portman::Portman;
use labman_proto_core::time::{Now, Span, Time};
use serde_json::Value;

use super::{Life as Account, show};
use crate::host::panic_message;

pub(super) struct Player {
    machine: Box<dyn Machine>,
    score: Score,
    tally: Tally,
    started: Now,
    last: Now,
}

/// What came of making a machine.
pub(super) struct Made {
    pub(super) player: Option<Player>,
    pub(super) said: Said,
    pub(super) signatures: u64,
    pub(super) fault: Option<String>,
    pub(super) verdict: Result<(), String>,
}

/// What came of a call. `verdict`: what is not as it was.
pub(super) struct Called {
    pub(super) fault: Option<String>,
    pub(super) verdict: Result<(), String>,
}

impl Account {
    pub(super) fn count(&mut self, call: &Call<'_>) {
        use labman_proto_core::journal::Cause;
        match call.cause {
            Cause::Made => {}
            Cause::Input(_) => self.inputs += 1,
            Cause::Timeout => self.timeouts += 1,
        }
        self.signatures += call.outcome.signatures.len() as u64;
    }
}

impl Player {
    pub(super) fn make(header: &Header, life: Life) -> Made {
        let Life { now, seed, snapshot, outcome } = life;
        let score = Score::default();
        score.is_due(&outcome.signatures);
        let repeated =
            |public_key| Identity::signing_by(Box::new(Repeated { public_key, score: score.clone() }));
        let made = catch_unwind(AssertUnwindSafe(|| -> Result<Box<dyn Machine>, String> {
            Ok(match header.machine.clone() {
                Config::Node(config) => Box::new(
                    Node::new(
                        config,
                        repeated(header.public_key.map_or([0; 32], |key| key.0)),
                        seed,
                        &snapshot,
                        now,
                    )
                    .map_err(|row| row.to_string())?,
                ),
                Config::Portal { config, ring, held } => {
                    let held = held.into_iter().map(|key| repeated(key.0)).collect();
                    let ring = hex::decode(ring).map_err(|error| error.to_string())?;
                    let signers = Signers::new(&config.network, &ring, held);
                    let signers = signers.map_err(|bad| bad.to_string())?;
                    Box::new(
                        Portal::new(config, signers, seed, &snapshot, now).map_err(|row| row.to_string())?,
                    )
                }
                Config::Portman(config) => Box::new(Portman::new(config, seed, now)),
            })
        }));
        let (machine, fault) = match made {
            Ok(Ok(machine)) => (Some(machine), None),
            Ok(Err(row)) => (None, Some(Fault::Stopped(row))),
            Err(panic) => (None, Some(Fault::Panicked(panic_message(&*panic)))),
        };
        let tally = Tally::default();
        let (said, signatures) = (tally.said(), outcome.signatures.len() as u64);
        Made {
            verdict: compare(&outcome, said, &fault, &score),
            player: machine.map(|machine| Self { machine, score, tally, started: now, last: now }),
            said,
            signatures,
            fault: fault.as_ref().map(show::fault),
        }
    }

    pub(super) fn call(&mut self, call: Call<'_>) -> Called {
        let Call { now, cause, outcome } = call;
        self.last = now;
        self.score.is_due(&outcome.signatures);
        let machine = &mut self.machine;
        // As the driver does: what a panicking call said is told to nobody.
        let said = catch_unwind(AssertUnwindSafe(|| {
            cause.tell(machine.as_mut(), now);
            let outputs: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
            (outputs, machine.stopped().map(str::to_owned))
        }));
        let fault = match said {
            Ok((outputs, stopped)) => {
                outputs.iter().for_each(|output| self.tally.output(output));
                stopped.map(Fault::Stopped)
            }
            Err(panic) => Some(Fault::Panicked(panic_message(&*panic))),
        };
        let verdict = compare(&outcome, self.tally.said(), &fault, &self.score);
        Called { verdict, fault: fault.as_ref().map(show::fault) }
    }

    pub(super) fn said(&self) -> Said {
        self.tally.said()
    }

    pub(super) const fn started(&self) -> Time {
        self.started.mono
    }

    /// What the machine would show of itself, so long after its start; `None`: at its last call.
    pub(super) fn show(&mut self, at: Option<Span>) -> Value {
        let mut now = self.last;
        if let Some(at) = at {
            now.mono = self.started.mono + at;
            now.wall = now.wall + (now.mono - self.last.mono);
        }
        show::state(self.machine.as_mut(), now)
    }
}

fn compare(expected: &Outcome, said: Said, fault: &Option<Fault>, score: &Score) -> Result<(), String> {
    let Signed { due, missing } = std::mem::take(&mut *score.signed());
    if missing > 0 || !due.is_empty() {
        let recorded = expected.signatures.len();
        return Err(format!("it signed {} times, and then {recorded} times", recorded - due.len() + missing));
    }
    if *fault != expected.fault {
        let told = |fault: &Option<Fault>| fault.as_ref().map_or("it went on".into(), show::fault);
        return Err(format!("{}, and then {}", told(fault), told(&expected.fault)));
    }
    if said.outputs != expected.said.outputs {
        let (now, then) = (said.outputs, expected.said.outputs);
        return Err(format!("it has said {now} things in this life, and had said {then} then"));
    }
    if said.hash != expected.said.hash {
        return Err("it said other things".into());
    }
    Ok(())
}

/// The recorded signatures of the call under way.
#[derive(Clone, Default)]
struct Score(Arc<Mutex<Signed>>);

#[derive(Default)]
struct Signed {
    due: VecDeque<[u8; 64]>,
    /// Asked for beyond what is recorded.
    missing: usize,
}

impl Score {
    fn is_due(&self, signatures: &[[u8; 64]]) {
        self.signed().due = signatures.iter().copied().collect();
    }

    fn signed(&self) -> MutexGuard<'_, Signed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signs with what was signed then.
struct Repeated {
    public_key: [u8; 32],
    score: Score,
}

impl Scheme for Repeated {
    fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    fn sign(&self, _: &[u8]) -> [u8; 64] {
        let mut signed = self.score.signed();
        signed.due.pop_front().unwrap_or_else(|| {
            signed.missing += 1;
            [0; 64]
        })
    }

    fn verify(&self) -> Verify {
        verify_strict
    }
}
