//! Deadlines by key, earliest first.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::time::{Time, Wake};

/// At most one deadline a key. `K` breaks ties, so that order never depends on anything hidden.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    due: BTreeSet<(Time, K)>,
    set: BTreeMap<K, (Time, &'static str)>,
}

impl<K: Ord + Copy> Default for Timers<K> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), set: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets or moves the key's deadline.
    pub(crate) fn set(&mut self, key: K, at: Time, why: &'static str) {
        self.clear(key);
        self.due.insert((at, key));
        self.set.insert(key, (at, why));
    }

    /// Sets the key's deadline, if it has none: what comes again and again does not put it off.
    pub(crate) fn start(&mut self, key: K, at: Time, why: &'static str) {
        if !self.is_set(key) {
            self.set(key, at, why);
        }
    }

    pub(crate) fn clear(&mut self, key: K) {
        if let Some((at, _)) = self.set.remove(&key) {
            self.due.remove(&(at, key));
        }
    }

    pub(crate) fn is_set(&self, key: K) -> bool {
        self.set.contains_key(&key)
    }

    pub(crate) fn at(&self, key: K) -> Option<Time> {
        self.set.get(&key).map(|(at, _)| *at)
    }

    pub(crate) fn next(&self) -> Option<Wake> {
        let (at, key) = self.due.first()?;
        let why = self.set.get(key).map_or("", |(_, why)| why);
        Some(Wake { at: *at, why })
    }

    /// Takes the earliest key that is due.
    pub(crate) fn expired(&mut self, now: Time) -> Option<K> {
        let (_, key) = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.clear(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_fires_once_and_in_order() {
        let mut timers = Timers::default();
        timers.set("a", Time(5), "first");
        timers.set("b", Time(3), "second");
        timers.set("a", Time(1), "moved");
        assert_eq!(timers.next(), Some(Wake { at: Time(1), why: "moved" }));
        assert_eq!(timers.expired(Time(10)), Some("a"));
        assert_eq!(timers.expired(Time(2)), None);
        assert_eq!(timers.expired(Time(3)), Some("b"));
        assert_eq!(timers.next(), None);
    }
}
