//! A figure told beside what it should be.

use std::fmt::{self, Write as _};

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Beside {
    pub field: String,
    /// The formula's name, or the baseline's.
    pub by: String,
    pub expected: f64,
    pub measured: i64,
    /// What the very same jobs would have come to in the book's queue, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub book: Option<f64>,
    /// What is compared: as measured, or, with a `book`, the expectation times by how much the run differed from that. A run that
    /// is too short for the expectation shows a difference as large as it is beside what it came to, and not beside what it did not.
    pub estimate: f64,
    /// Of the interval that has the true value nineteen times in twenty, in percent of what is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_width_percent: Option<f64>,
    pub off_percent: f64,
    pub bounds: Bounds,
}

/// What must hold, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bounds {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_width: Option<f64>,
}

impl Bounds {
    /// The bound that so much is beyond.
    pub(super) fn too_far(&self, off_percent: f64) -> Option<f64> {
        let below = self.at_least.filter(|least| off_percent < *least);
        below.or(self.at_most.filter(|most| off_percent > *most))
    }
}

/// What a run says of a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub value: f64,
    /// The book's for the very same jobs.
    pub book: Option<f64>,
    pub half_width: Option<f64>,
}

impl Beside {
    pub(crate) fn new(
        (field, by): (&str, String),
        expected: f64,
        measured: i64,
        estimate: Option<Estimate>,
        bounds: Bounds,
    ) -> Self {
        let percent = |part: f64| if expected == 0.0 { 0.0 } else { part / expected * 100.0 };
        let book = estimate.and_then(|estimate| estimate.book).filter(|book| *book != 0.0);
        let of_the_book = |value: f64| book.map_or(value, |book| value / book * expected);
        let value = of_the_book(estimate.map_or(measured as f64, |estimate| estimate.value));
        let half_width = estimate.and_then(|estimate| estimate.half_width).map(of_the_book);
        Self {
            field: field.into(),
            by,
            expected,
            measured,
            book,
            estimate: value,
            half_width_percent: half_width.map(percent),
            off_percent: percent(value - expected),
            bounds,
        }
    }

    /// What is wrong, if it is further off than it may be, or not known as well as it must.
    pub fn failure(&self) -> Option<String> {
        let Self { field, by, expected, estimate, off_percent: off, bounds, .. } = self;
        if let Some(bound) = bounds.too_far(*off) {
            return Some(format!(
                "{field} is {estimate:.0}, {off:+.1} % off the {expected:.0} of {by}: {bound:+.1} % at the furthest"
            ));
        }
        let most = bounds.half_width?;
        match self.half_width_percent {
            Some(half) if half <= most => None,
            Some(half) => Some(format!(
                "{field} is known to ±{half:.1} % only: ±{most:.1} % at most; let it run longer"
            )),
            None => Some(format!(
                "of {field} it can't be said how well it is known: only of means, and of runs of fifty times what a job takes at least"
            )),
        }
    }

    pub fn summary(&self, out: &mut String) -> fmt::Result {
        let Self { field, by, expected, measured, book, off_percent, .. } = self;
        write!(out, "  oracle    {field} {measured}")?;
        if let Some(book) = book {
            write!(out, " where the same jobs have {book:.0} in the book")?;
        }
        if let Some(half) = self.half_width_percent {
            write!(out, " ±{half:.2} %")?;
        }
        writeln!(out, "; {by}: {expected:.0}, {off_percent:+.2} %")
    }
}
