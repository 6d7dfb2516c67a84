//! Models that somebody served a moment ago: while their only provider starts again, whoever asks for them is to come back, and not to
//! believe that they are gone.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

use crate::limits::{BYGONE, BYGONE_FOR};
use crate::time::Time;

/// In the order in which they ended.
#[derive(Default)]
pub(super) struct Bygone(VecDeque<(Time, String)>);

impl Bygone {
    /// The oldest make room.
    pub(super) fn ended(&mut self, now: Time, slug: &str) {
        // One that comes and goes takes one place.
        self.0.retain(|(ended, known)| known != slug && is_fresh(*ended, now));
        while self.0.len() >= BYGONE {
            self.0.pop_front();
        }
        self.0.push_back((now, slug.to_string()));
    }

    pub(super) fn slugs(&self, now: Time) -> impl Iterator<Item = &str> {
        let fresh = self.0.iter().filter(move |(ended, _)| is_fresh(*ended, now));
        fresh.map(|(_, slug)| slug.as_str())
    }
}

fn is_fresh(ended: Time, now: Time) -> bool {
    now - ended < BYGONE_FOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use alloc::format;

    #[test]
    fn what_ended_is_remembered_for_a_while_and_never_more_than_so_many() {
        let (mut bygone, now) = (Bygone::default(), Time(1));
        bygone.ended(now, "a:b:old");
        bygone.ended(now + Span::from_secs(1), "a:b:new");
        assert_eq!(bygone.slugs(now + BYGONE_FOR).collect::<alloc::vec::Vec<_>>(), ["a:b:new"]);
        for number in 0..3 * BYGONE {
            bygone.ended(now + BYGONE_FOR, &format!("a:b:{number}"));
        }
        assert_eq!(bygone.0.len(), BYGONE);
        assert!(bygone.slugs(now + BYGONE_FOR).all(|slug| slug != "a:b:new"));
        let oldest = format!("a:b:{}", 2 * BYGONE);
        bygone.ended(now + BYGONE_FOR, &format!("a:b:{}", 3 * BYGONE - 1));
        assert!(
            bygone.slugs(now + BYGONE_FOR).any(|slug| slug == oldest),
            "the newest, again, costs no other its place"
        );
    }
}
