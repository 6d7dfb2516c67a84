//! Lorenz curves: what part of all income the poorest part of the providers has (M. Lorenz, 1905).

use maud::{Markup, html};

use super::line::line;
use super::scale::Scale;
use super::{Frame, axes};

/// `curve` and `reference` go from (0, 0) to (1, 1); the second is dashed.
pub(in crate::page) fn lorenz(curve: &[(f64, f64)], reference: Option<&[(f64, f64)]>) -> (Frame, Markup) {
    let frame = Frame { height: 230.0, ..Frame::panel(&["100".into()]) };
    let x = Scale::linear((0.0, 100.0), frame.x());
    let y = Scale::linear((0.0, 100.0), frame.y());
    let place = |(people, income): &(f64, f64)| (x.at(people * 100.0), y.at(income * 100.0));
    let places = |curve: &[(f64, f64)]| curve.iter().map(place).collect::<Vec<_>>();
    let equal = [(x.at(0.0), y.at(0.0)), (x.at(100.0), y.at(100.0))];
    let marks = html! {
        (axes(&frame, &x, &y, "% of income", "% of providers, the poorest first"))
        (line("equal", &equal))
        @if let Some(reference) = reference { (line("reference", &places(reference))) }
        (line("line", &places(curve)))
    };
    (frame, marks)
}

/// Shares of the whole that the poorest have, one for each of the sorted incomes, after (0, 0). `None` where nobody earned, or
/// somebody less than nothing.
pub(in crate::page) fn curve(incomes: &[i64]) -> Option<Vec<(f64, f64)>> {
    let mut sorted = incomes.to_vec();
    sorted.sort_unstable();
    let whole: i128 = sorted.iter().copied().map(i128::from).sum();
    if whole <= 0 || sorted[0] < 0 {
        return None;
    }
    let mut sum = 0_i128;
    let share = |(at, income): (usize, i64)| {
        sum += i128::from(income);
        ((at + 1) as f64 / incomes.len() as f64, sum as f64 / whole as f64)
    };
    Some(std::iter::once((0.0, 0.0)).chain(sorted.into_iter().enumerate().map(share)).collect())
}

/// Where a curve is at a part of the providers.
pub(in crate::page) fn at(curve: &[(f64, f64)], people: f64) -> f64 {
    let after = curve.partition_point(|(part, _)| *part < people).clamp(1, curve.len().max(2) - 1);
    let ((from, low), (to, high)) = (curve[after - 1], curve[after]);
    if to > from { low + (high - low) * (people - from) / (to - from) } else { high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_read_between_its_places() {
        let curve = curve(&[1, 3]).unwrap();
        assert_eq!(curve, [(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)]);
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|people| at(&curve, people)), [0.0, 0.125, 0.25, 1.0]);
    }

    #[test]
    fn nobody_who_earns_nothing_has_a_share_of_it() {
        assert_eq!(curve(&[0, 0]), None);
        assert_eq!(curve(&[]), None);
        assert_eq!(curve(&[-1, 5]), None);
    }
}
