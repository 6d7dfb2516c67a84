//! How many jobs waited at the worst, and how long it took until none did.
//!
//! A job waits where more are under way than all providers have slots: that is exact where one provider has them all, and the least there
//! can be where many share them. All jobs count, whether they are measured otherwise or not.

use super::{Ending, JobOutcome, Report};

/// Of jobs that waited for a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Crowd {
    pub(super) most: i64,
    /// From when the most waited until none did, in microseconds; to the last job's end where that was never.
    pub(super) cleared_us: u64,
}

impl Report {
    pub(super) fn crowd(&self) -> Crowd {
        let asked =
            self.outcomes.iter().filter(|job| matches!(job.ending(), Ending::Completed | Ending::Failed));
        let spans = asked.filter_map(|job: &JobOutcome| Some((job.asked_at_us?, job.took_us)));
        // Who ends leaves before who comes at the same moment.
        let mut steps: Vec<(u64, i64)> =
            spans.flat_map(|(at, took)| [(at, 1), (at.saturating_add(took), -1)]).collect();
        steps.sort_unstable();
        let (mut waiting, mut crowd, mut since) = (-self.slots, Crowd::default(), None);
        for (at, step) in steps {
            waiting += step;
            if waiting > crowd.most {
                (crowd.most, since) = (waiting, Some(at));
                crowd.cleared_us = 0;
            }
            if let Some(began) = since {
                crowd.cleared_us = at - began;
                since = since.filter(|_| waiting > 0);
            }
        }
        crowd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(slots: i64, spans: &[(u64, u64)]) -> Crowd {
        let served = |&(asked_at_us, took_us): &(u64, u64)| JobOutcome {
            http_status: 200,
            finish_reason: Some("stop".into()),
            asked_at_us: Some(asked_at_us),
            took_us,
            ..JobOutcome::default()
        };
        Report { slots, outcomes: spans.iter().map(served).collect(), ..Report::default() }.crowd()
    }

    #[test]
    fn it_is_seen_how_many_wait_and_until_when() {
        // One at a time, ten each: at 3 three wait; the first is served at 10, the second at 20, and at 30 nobody waits.
        let crowded = [(0, 10), (1, 19), (2, 28), (3, 37), (90, 10)];
        assert_eq!(crowd(1, &crowded), Crowd { most: 3, cleared_us: 27 });
        assert_eq!(crowd(4, &crowded), Crowd::default());
    }

    #[test]
    fn the_greatest_of_several_crowds_counts() {
        let twice = [(0, 5), (1, 9), (50, 5), (51, 9), (52, 13)];
        assert_eq!(crowd(1, &twice), Crowd { most: 2, cleared_us: 8 });
    }
}
