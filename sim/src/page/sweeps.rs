//! What figures depend on: a line by one setting, a map by two, a ranking of more.

mod by_one;
mod by_two;
mod ranking;

use maud::{Markup, html};

use super::Section;
use super::view::{Figure, View};

/// Figures that are drawn: what the page is about, and those that differ most between points.
const DRAWN: usize = 6;

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    // What differs from run to run and not between points depends on none of the settings.
    let figures: Vec<&Figure> = view.telling().filter(|figure| figure.between > 0.0).take(DRAWN).collect();
    let varied = varied(view);
    if varied.is_empty() || figures.is_empty() {
        return None;
    }
    let body = match varied.as_slice() {
        [path] => by_one::markup(view, &figures, Some(*path)),
        [slow, fast] if is_grid(view, *slow, *fast) => by_two::markup(view, &figures, *slow, *fast),
        paths => match ranking::markup(view, &figures, paths) {
            Some(ranking) => ranking,
            None => by_one::markup(view, &figures, None),
        },
    };
    Some(Section { id: "sweep", title: "What it depends on", body })
}

/// What many settings come to, in a sentence.
pub(super) fn dependence(view: &View<'_>, figure: &Figure) -> Option<Markup> {
    let varied = varied(view);
    if varied.len() < 2 {
        return None;
    }
    let ranked = ranking::rank(view, figure, &varied)?;
    let (path, coefficient) = ranked.strongest()?;
    Some(html! {
        "Of " (varied.len()) " settings it depends most on " strong { (view.labels.paths[path]) }
        @if let Some(rival) = ranked.rival() { ", and perhaps as much on " strong { (view.labels.paths[rival]) } }
        ": it "
        @if coefficient > 0.0 { "rises" } @else { "falls" }
        " with " @if ranked.rival().is_some() { "the first" } @else { "it" } " (standardised rank regression coefficient " (super::number::grouped(coefficient, 2)) ", R² of all "
        (super::number::grouped(ranked.r_squared, 2)) ")."
    })
}

/// Paths that have more than one value.
fn varied(view: &View<'_>) -> Vec<usize> {
    (0..view.study.manifest.paths.len()).filter(|path| levels(view, *path).len() > 1).collect()
}

/// The values of a path, each once, in the order of points.
fn levels<'a>(view: &View<'a>, path: usize) -> Vec<&'a str> {
    let mut levels: Vec<&str> = Vec::new();
    for point in &view.study.manifest.points {
        if !levels.contains(&point.values[path].as_str()) {
            levels.push(&point.values[path]);
        }
    }
    levels
}

/// Every combination is there.
fn is_grid(view: &View<'_>, one: usize, other: usize) -> bool {
    view.points() == levels(view, one).len() * levels(view, other).len()
}

/// Points lie here and there, as they were drawn: the first is like any other.
pub(super) fn is_scattered(view: &View<'_>) -> bool {
    let varied = varied(view);
    let all = varied.iter().try_fold(1_usize, |all, path| all.checked_mul(levels(view, *path).len()));
    let rises =
        |path: &usize| view.numbers(*path).is_none_or(|it| it.is_sorted() || it.iter().rev().is_sorted());
    varied.len() > 1 && all != Some(view.points()) && !varied.first().is_some_and(rises)
}
