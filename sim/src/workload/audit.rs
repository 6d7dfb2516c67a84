//! Users who now and then check what they were answered, and turn away for a while from whoever cheated them.
//!
//! To check is to know what the model would have said: to ask it again, of somebody else or at home, with the same seed. Here that
//! costs nothing. What is absent: telling anybody. Each user knows of its own answers only.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::HINT_NAMES;
use labman_proto_core::rng::Stream;
use serde::{Deserialize, Serialize};

/// The rule of some users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Of a thousand answers so many are checked, each by itself.
    pub permille: u32,
    /// Whoever is caught gets none of that user's next so many requests (the API's `provider.ignore`).
    pub shuns: u32,
    /// It is counted how often a cheat is caught within so many answers.
    pub within: u32,
}

/// What is done with one answer.
#[derive(Clone, Copy, Debug)]
pub struct Auditing {
    pub checks: bool,
    rule: Audit,
}

impl Audit {
    /// # Errors
    ///
    /// What makes no rule of it.
    pub fn check(&self) -> Result<(), String> {
        match self.permille <= 1_000 && self.within > 0 {
            true => Ok(()),
            false => Err("audit: permille must be of a thousand, and within above zero".into()),
        }
    }

    /// One draw for each answer, whatever becomes of it.
    pub fn draw(&self, draws: &mut Stream) -> Auditing {
        Auditing { checks: draws.below(1_000) < u64::from(self.permille), rule: *self }
    }
}

/// All users who check, and what they found.
#[derive(Debug, Default)]
pub struct Auditors {
    suspects: BTreeMap<String, BTreeMap<NodeId, Suspect>>,
    pub found: Found,
}

/// A provider that cheated a user.
#[derive(Debug, Default)]
struct Suspect {
    /// Answers since it was caught last.
    answers: u32,
    /// The first of them is measured.
    counts: bool,
    /// So many requests it gets none of.
    shunned: u32,
}

/// Of cheated answers, from the first on after somebody was caught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub cheated: u64,
    pub caught: u64,
    /// How often so many answers were given as the rule counts, or somebody caught before; and how often caught.
    pub reached: u64,
    pub within: u64,
}

impl Auditors {
    /// Who is to get none of a user's next request, which counts.
    pub fn shunned(&mut self, user: &str) -> Vec<NodeId> {
        let suspects = self.suspects.get_mut(user).into_iter().flatten();
        let shunned = suspects.filter(|(_, suspect)| suspect.shunned > 0).take(HINT_NAMES);
        let count = |(provider, suspect): (&NodeId, &mut Suspect)| {
            suspect.shunned -= 1;
            *provider
        };
        shunned.map(count).collect()
    }

    /// An answer was not the model's.
    pub fn cheated(&mut self, user: &str, provider: NodeId, auditing: Auditing, is_measured: bool) {
        let Auditing { checks, rule } = auditing;
        let suspects = self.suspects.entry(user.into()).or_default();
        let suspect = suspects.entry(provider).or_default();
        suspect.counts = if suspect.answers == 0 { is_measured } else { suspect.counts };
        suspect.answers += 1;
        if suspect.counts {
            let Found { cheated, caught, reached, within } = &mut self.found;
            let in_time = checks && suspect.answers <= rule.within;
            *cheated += 1;
            *caught += u64::from(checks);
            *reached += u64::from(in_time || suspect.answers == rule.within);
            *within += u64::from(in_time);
        }
        if checks {
            *suspect = Suspect { shunned: rule.shuns, ..Suspect::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::rng::Seed;

    const RULE: Audit = Audit { permille: 250, shuns: 2, within: 3 };
    const CHEAT: NodeId = NodeId([7; 32]);

    fn auditing(checks: bool) -> Auditing {
        Auditing { checks, rule: RULE }
    }

    #[test]
    fn as_many_answers_are_checked_as_the_rule_says() {
        let mut draws = Seed::from_u64(1).stream("audits");
        let checked = (0..10_000).filter(|_| RULE.draw(&mut draws).checks).count();
        assert!(checked.abs_diff(2_500) < 150, "{checked}");
        assert!(Audit { permille: 1_001, ..RULE }.check().is_err());
        assert!(Audit { within: 0, ..RULE }.check().is_err());
    }

    #[test]
    fn whoever_is_caught_is_shunned_for_so_many_requests_by_that_user_only() {
        let mut auditors = Auditors::default();
        auditors.cheated("ada", CHEAT, auditing(false), true);
        assert!(auditors.shunned("ada").is_empty(), "nobody looked");
        auditors.cheated("ada", CHEAT, auditing(true), true);
        assert!(auditors.shunned("bob").is_empty());
        assert_eq!([(); 3].map(|()| auditors.shunned("ada").len()), [1, 1, 0]);
    }

    #[test]
    fn it_is_counted_who_is_caught_in_time_of_all_who_could_have_been() {
        let mut auditors = Auditors::default();
        let mut answers = |user: &str, checks: &[bool], is_measured: bool| {
            checks.iter().for_each(|checks| auditors.cheated(user, CHEAT, auditing(*checks), is_measured));
            auditors.found
        };
        // Caught with the second; with the fourth, too late; and not yet.
        let caught = answers("ada", &[false, true], true);
        assert_eq!(caught, Found { cheated: 2, caught: 1, reached: 1, within: 1 });
        let late = answers("bob", &[false, false, false, true], true);
        assert_eq!(late, Found { cheated: 6, caught: 2, reached: 2, within: 1 });
        let soon = answers("eve", &[false, false], true);
        assert_eq!((soon.cheated, soon.reached), (8, 2));
        let with_the_last = answers("eve", &[true], true);
        assert_eq!((with_the_last.reached, with_the_last.within), (3, 2));
        // What began before it was measured does not count.
        assert_eq!(answers("joe", &[false, true], false), with_the_last);
    }
}
