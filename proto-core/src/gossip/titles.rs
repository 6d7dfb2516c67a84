//! Bare names of models, each with a number that stands for it as long as somebody serves it: a mesh has many offers of few models, and
//! to look for a number is quicker than to take each offer's name apart.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Title(u64);

#[derive(Default)]
pub(super) struct Titles {
    /// With how many offers it has.
    of: BTreeMap<String, (Title, usize)>,
    next: u64,
}

impl Titles {
    /// For one more offer.
    pub(super) fn take(&mut self, bare: &str) -> Title {
        if let Some((title, offers)) = self.of.get_mut(bare) {
            *offers += 1;
            return *title;
        }
        let title = Title(self.next);
        self.next += 1;
        self.of.insert(bare.into(), (title, 1));
        title
    }

    /// An offer is gone.
    pub(super) fn give_back(&mut self, bare: &str) {
        match self.of.get_mut(bare) {
            Some((_, offers)) if *offers > 1 => *offers -= 1,
            _ => {
                self.of.remove(bare);
            }
        }
    }

    pub(super) fn matching(&self, is: impl Fn(&str) -> bool) -> Vec<Title> {
        self.of.iter().filter(|(bare, _)| is(bare)).map(|(_, (title, _))| *title).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_as_long_as_somebody_serves_it() {
        let mut titles = Titles::default();
        let toy = titles.take("toy");
        assert_eq!((titles.take("toy"), titles.take("owl") == toy), (toy, false));
        titles.give_back("toy");
        assert_eq!(titles.matching(|bare| bare == "toy"), [toy]);
        titles.give_back("toy");
        titles.give_back("owl");
        assert_eq!(titles.matching(|_| true), []);
        assert!(titles.of.is_empty(), "nothing is kept of what nobody serves");
        assert_ne!(titles.take("toy"), toy, "nor mistaken for another");
    }
}
