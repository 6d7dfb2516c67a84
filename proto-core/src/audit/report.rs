//! What an audit found: a verdict for each invariant, the places where one is broken, and the accounts.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use crate::money::Currency;

/// Of economics.md, and that there is anything to judge by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    Rows,
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
}

impl Invariant {
    pub const ALL: [Self; 9] =
        [Self::Rows, Self::I1, Self::I2, Self::I3, Self::I4, Self::I5, Self::I6, Self::I7, Self::I8];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::I1 => "I1",
            Self::I2 => "I2",
            Self::I3 => "I3",
            Self::I4 => "I4",
            Self::I5 => "I5",
            Self::I6 => "I6",
            Self::I7 => "I7",
            Self::I8 => "I8",
        }
    }

    pub const fn says(self) -> &'static str {
        match self {
            Self::Rows => "every row can be read, and every signature in it holds",
            Self::I1 => "accounts and entries sum to zero, and the journal alone gives the balances",
            Self::I2 => "a hold ends once, and what is held is what the open holds say",
            Self::I3 => "a receipt is issued once, numbered without a gap, and paid once",
            Self::I4 => "a provider's receipts are each in one state, and sum to what was earned",
            Self::I5 => "no FEP owes more than it may",
            Self::I6 => "what was acknowledged is there",
            Self::I7 => "nothing but rail:deposits was ever negative",
            Self::I8 => "charge and payout follow from counts, offer and fees",
        }
    }
}

/// One place where an invariant is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub invariant: Invariant,
    /// Table and key of the row, or the account.
    pub place: String,
    pub what: String,
}

/// Amounts in one currency, under the names that its books give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    pub currency: Currency,
    /// In micro-units. A sum of what does not fit an account is shown, too: it is what is wrong.
    pub lines: Vec<(String, i128)>,
}

impl Sheet {
    pub fn sum(&self) -> i128 {
        self.lines.iter().map(|(_, amount)| amount).sum()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub sheets: Vec<Sheet>,
    /// The first [`Self::SHOWN`].
    pub findings: Vec<Finding>,
    /// How often each invariant was looked at, and how often it was broken.
    tallies: BTreeMap<Invariant, (u64, u64)>,
}

impl Report {
    /// Who has more broken places than this has no use for a longer list.
    pub const SHOWN: usize = 100;

    pub fn holds(&self) -> bool {
        self.tallies.values().all(|(_, broken)| *broken == 0)
    }

    /// Each invariant that was looked at, with how often, and how often it was broken.
    pub fn verdicts(&self) -> impl Iterator<Item = (Invariant, u64, u64)> {
        self.tallies.iter().map(|(invariant, (looked, broken))| (*invariant, *looked, *broken))
    }

    pub fn has_broken(&self, invariant: Invariant) -> bool {
        self.tallies.get(&invariant).is_some_and(|(_, broken)| *broken > 0)
    }

    /// Both reports in one.
    pub fn join(&mut self, other: Self) {
        self.sheets.extend(other.sheets);
        let room = Self::SHOWN.saturating_sub(self.findings.len());
        self.findings.extend(other.findings.into_iter().take(room));
        for (invariant, (looked, broken)) in other.tallies {
            let tally = self.tallies.entry(invariant).or_default();
            *tally = (tally.0.saturating_add(looked), tally.1.saturating_add(broken));
        }
    }

    /// Notes that an invariant was looked at, and where it does not hold.
    pub(crate) fn must(
        &mut self,
        invariant: Invariant,
        holds: bool,
        place: impl Fn() -> String,
        what: impl Fn() -> String,
    ) {
        let (looked, broken) = self.tallies.entry(invariant).or_default();
        *looked = looked.saturating_add(1);
        if holds {
            return;
        }
        *broken = broken.saturating_add(1);
        if self.findings.len() < Self::SHOWN {
            self.findings.push(Finding { invariant, place: place(), what: what() });
        }
    }
}

/// How many, and what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) sum: i128,
}

impl Tally {
    pub(crate) fn add(&mut self, amount: i128) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(amount);
    }
}

impl core::fmt::Display for Tally {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} of {} micro-units", self.count, self.sum)
    }
}
