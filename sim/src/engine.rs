//! The event engine: virtual time, and a total order over everything that happens in it.
//!
//! What is absent: any type of the protocol. Events are whatever the world above makes of them.
//!
//! Events run in the order `(time, tie, seq)`. The tie is drawn from the seed, so that two events at the same instant
//! come in either order, depending on the seed: a machine that relies on one of them is found by sweeping seeds. What
//! must keep its order (the bytes of one stream) is kept in order by the world, not by the queue.
//!
//! The queue is a timing [`wheel`]; a binary heap gives the same order and is what the wheel is tested against.

mod occupancy;
mod pool;
mod wheel;

use labman_proto_core::rng::Seed;
use labman_proto_core::time::Time;

use wheel::Wheel;

pub struct Engine<E> {
    now: Time,
    scheduled: u64,
    executed: u64,
    ties: Ties,
    queue: Wheel<E>,
}

impl<E> Engine<E> {
    pub fn new(seed: Seed) -> Self {
        Self {
            now: Time::ZERO,
            scheduled: 0,
            executed: 0,
            ties: Ties(seed.stream("ties").next_u64()),
            queue: Wheel::default(),
        }
    }

    /// Time since the engine's start.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Events that have run so far.
    pub fn executed(&self) -> u64 {
        self.executed
    }

    /// Runs `event` at `at`; a time that has passed means now.
    pub fn schedule(&mut self, at: Time, event: E) {
        self.scheduled += 1;
        self.queue.push(at.max(self.now), self.ties.draw(), self.scheduled, event);
    }

    /// Takes the next event, and moves time to it.
    pub fn pop(&mut self) -> Option<E> {
        let (at, event) = self.queue.pop()?;
        self.now = at;
        self.executed += 1;
        Some(event)
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). A tie is drawn for each
/// event and nobody gains by guessing it, so it may cost a few instructions only.
struct Ties(u64);

impl Ties {
    fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 32) as u32
    }
}

/// One thing's alarm clock. Setting it anew makes every earlier setting stale, so that nothing is ever removed from the
/// queue.
#[derive(Debug, Default)]
pub struct Alarm {
    setting: u64,
    at: Option<Time>,
}

/// Which setting of an [`Alarm`] an event in the queue stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting(u64);

impl Alarm {
    /// The setting to schedule, where `at` differs from what is set already.
    pub fn set(&mut self, at: Option<Time>) -> Option<(Time, Setting)> {
        if at == self.at {
            return None;
        }
        self.setting += 1;
        self.at = at;
        at.map(|at| (at, Setting(self.setting)))
    }

    /// Whether this setting still holds; then it is used up.
    pub fn rings(&mut self, setting: Setting) -> bool {
        let current = self.at.is_some() && setting.0 == self.setting;
        if current {
            self.at = None;
        }
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::time::Span;

    fn order_of_ten_at_once(seed: u64) -> Vec<u32> {
        let mut engine = Engine::new(Seed::from_u64(seed));
        for event in 0..10 {
            engine.schedule(Time::ZERO + Span::from_secs(1), event);
        }
        std::iter::from_fn(|| engine.pop()).collect()
    }

    #[test]
    fn events_at_one_instant_are_ordered_by_the_seed() {
        assert_eq!(order_of_ten_at_once(1), order_of_ten_at_once(1));
        assert_ne!(order_of_ten_at_once(1), order_of_ten_at_once(2));
    }

    #[test]
    fn time_goes_forward_and_a_passed_time_means_now() {
        let mut engine = Engine::new(Seed::from_u64(1));
        engine.schedule(Time(20), "late");
        engine.schedule(Time(10), "early");
        assert_eq!((engine.pop(), engine.now()), (Some("early"), Time(10)));
        engine.schedule(Time(3), "passed");
        assert_eq!((engine.pop(), engine.now()), (Some("passed"), Time(10)));
        assert_eq!((engine.pop(), engine.now()), (Some("late"), Time(20)));
        assert_eq!((engine.pop(), engine.executed()), (None, 3));
    }

    #[test]
    fn the_end_of_time_is_a_time_like_any_other() {
        let mut engine = Engine::new(Seed::from_u64(1));
        engine.schedule(Time(u64::MAX), "never");
        engine.schedule(Time(u64::MAX - 1), "hardly ever");
        engine.schedule(Time::ZERO, "at once");
        assert_eq!(engine.pop(), Some("at once"));
        assert_eq!((engine.pop(), engine.now()), (Some("hardly ever"), Time(u64::MAX - 1)));
        assert_eq!((engine.pop(), engine.now()), (Some("never"), Time(u64::MAX)));
        engine.schedule(Time(7), "passed");
        assert_eq!((engine.pop(), engine.now()), (Some("passed"), Time(u64::MAX)));
        assert_eq!(engine.pop(), None);
    }

    #[test]
    fn a_setting_that_was_replaced_does_not_ring() {
        let mut alarm = Alarm::default();
        let (_, first) = alarm.set(Some(Time(10))).unwrap();
        assert_eq!(alarm.set(Some(Time(10))), None, "nothing changed, nothing to schedule");
        let (_, second) = alarm.set(Some(Time(5))).unwrap();
        assert!(!alarm.rings(first));
        assert!(alarm.rings(second));
        assert!(!alarm.rings(second), "it rings once");

        let (_, third) = alarm.set(Some(Time(7))).unwrap();
        alarm.set(None);
        assert!(!alarm.rings(third), "it was switched off");
    }
}
