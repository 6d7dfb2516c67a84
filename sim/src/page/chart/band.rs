//! Fans: a median, and where half and nine tenths of the runs lie around it.

use maud::{Markup, html};

use super::line::{line, path};
use super::scale::Scale;

/// What the runs say at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::page) struct Spread {
    pub at: f64,
    /// 5, 25, 50, 75 and 95 %.
    pub parts: [f64; 5],
}

/// The median of `reference` is dashed, under that of the spreads.
pub(in crate::page) fn fan(x: &Scale, y: &Scale, spreads: &[Spread], reference: Option<&[Spread]>) -> Markup {
    html! {
        (band("band-wide", x, y, spreads, (0, 4)))
        (band("band", x, y, spreads, (1, 3)))
        @if let Some(reference) = reference { (median("reference", x, y, reference)) }
        (median("line", x, y, spreads))
    }
}

fn median(class: &str, x: &Scale, y: &Scale, spreads: &[Spread]) -> Markup {
    line(class, &spreads.iter().map(|it| (x.at(it.at), y.at(it.parts[2]))).collect::<Vec<_>>())
}

fn band(class: &str, x: &Scale, y: &Scale, spreads: &[Spread], (low, high): (usize, usize)) -> Markup {
    let edge = |part: usize| move |it: &Spread| (x.at(it.at), y.at(it.parts[part]));
    let there = spreads.iter().map(edge(high));
    let back = spreads.iter().rev().map(edge(low));
    let way: Vec<(f64, f64)> = there.chain(back).collect();
    html! { path class=(class) d={ (path(&way)) "Z" } {} }
}
