//! The page's first part: the question, the answer in a few sentences made of the numbers, and whether all held.

use maud::{Markup, html};

use super::header::{Paragraph, paragraphs};
use super::number::{change, counted, probability};
use super::pieces::plain;
use super::verdicts::Verdicts;
use super::view::{Figure, View};
use super::{Section, sweeps};
use crate::report::definitions;
use crate::stats::{Difference, difference};

/// Points that the answer goes through one by one.
const FEW: usize = 6;
/// Other figures that the answer names.
const NAMED: usize = 6;

pub(super) fn section(view: &View<'_>) -> Section {
    let said = paragraphs(&view.study.manifest.text);
    let verdicts = Verdicts::new(view);
    let body = html! {
        (question(&said))
        @if let Some(figure) = view.primary().filter(|_| view.points() > 0) {
            p.note { "The answer is told by " code { (figure.name) } ", " (view.why_primary) "; " code { "--figure" } " chooses others." }
        }
        @if let Some(shard) = &view.study.manifest.shard {
            p.note { "This is the part " (shard) " of a sweep: pairs of runs with the same seed may lie in others. Put all together first: " code { "labman-sim merge" } "." }
        }
        div.finding {
            @match view.primary() {
                Some(figure) => {
                    (finding(view, figure))
                    @for figure in view.beside() { (further(view, figure)) }
                    @if (2..=FEW).contains(&view.points()) { (remark(view)) }
                }
                None => p { "No run came to its end, so there is nothing to tell but why: see " a href="#outliers" { "failures" } "." },
            }
            p { (verdicts.summary(view)) }
        }
        @for figure in view.primary().into_iter().chain(view.beside()) { (definition(figure)) }
        @let rest: Vec<&Paragraph> = said.iter().filter(|it| it.title.is_some()).collect();
        @if !rest.is_empty() {
            dl { @for it in rest { dt { (it.title.as_deref().unwrap_or_default()) } dd { (it.text) } } }
        }
        (verdicts.markup(view))
    };
    Section { id: "answer", title: "Answer", body }
}

/// The first paragraph large, others without a title after it.
fn question(said: &[Paragraph]) -> Markup {
    let asked = |it: &&Paragraph| !it.aside && it.title.as_deref().is_none_or(|title| title == "Question");
    html! {
        @for (at, it) in said.iter().filter(asked).enumerate() {
            @if at == 0 && !it.verbatim { p.question { (it.text) } } @else { (plain(it)) }
        }
        @if said.is_empty() { p.note { "The scenario's file does not say what is asked: a comment at its beginning would stand here." } }
    }
}

fn finding(view: &View<'_>, figure: &Figure) -> Markup {
    match view.points() {
        1 => alone(view, figure),
        2..=FEW => html! { (level(view, figure)) @for it in each(view, figure) { p { (it) } } },
        _ => html! { (level(view, figure)) (overall(view, figure)) },
    }
}

/// One point: how large, how sure, how much runs differ.
fn alone(view: &View<'_>, figure: &Figure) -> Markup {
    let Some(summary) = figure.summaries[0] else { return html! {} };
    let format = &figure.format;
    html! {
        p {
            "Over " (counted(view.rows[0].len(), "run", "runs")) ", " code { (figure.name) } " is "
            strong { (format.full(summary.estimate.mean)) } (in_the_mean(view))
            @if let Some(interval) = summary.estimate.interval { " (95 % interval " (format.interval(interval)) ")" }
            @if figure.constant { ", the same in every run." } @else {
                "; nine runs of ten lie between " (format.number(summary.p5)) " and " (format.full(summary.p95)) "."
            }
        }
    }
}

fn level(view: &View<'_>, figure: &Figure) -> Markup {
    html! { p { "At the baseline, " strong { (view.labels.points[view.baseline]) } ", " (is(view, figure)) } }
}

/// As a sentence's end.
fn is(view: &View<'_>, figure: &Figure) -> Markup {
    let Some(summary) = figure.summaries[view.baseline] else {
        return html! { code { (figure.name) } " is not known." };
    };
    html! {
        code { (figure.name) } " is " strong { (figure.format.full(summary.estimate.mean)) } (in_the_mean(view))
        @if let Some(interval) = summary.estimate.interval { " (95 % interval " (figure.format.interval(interval)) ")" }
        "."
    }
}

fn in_the_mean(view: &View<'_>) -> &'static str {
    if view.study.manifest.seeds == 1 { "" } else { " in the mean" }
}

/// What was asked for beside what the page is about: the same, in one paragraph.
fn further(view: &View<'_>, figure: &Figure) -> Markup {
    match view.points() {
        2..=FEW => html! { p { (is(view, figure)) @for it in each(view, figure) { " " (it) } } },
        _ => finding(view, figure),
    }
}

fn definition(figure: &Figure) -> Markup {
    html! { @if let Some(it) = definitions::of(&figure.name) { p.note { code { (figure.name) } ": " (it.what) "." } } }
}

/// A clause for each other point.
fn each(view: &View<'_>, figure: &Figure) -> Vec<Markup> {
    view.others()
        .filter_map(|point| Some((point, difference(&view.pairs(figure, view.baseline, point))?)))
        .map(|(point, found)| clause(view, figure, point, &found))
        .collect()
}

/// How sure the clauses are, and what else differs.
fn remark(view: &View<'_>) -> Markup {
    let is_told =
        |figure: &Figure| view.primary().into_iter().chain(view.beside()).any(|it| it.name == figure.name);
    let differ: Vec<&str> = view
        .telling()
        .filter(|other| !is_told(other) && view.others().any(|point| is_sure(view, other, point)))
        .map(|other| other.name.as_str())
        .collect();
    html! {
        @match differ.as_slice() {
            [] if view.is_without_pairs() => p { "No point has a run of the same seed as one of the baseline’s: of differences nothing can be said." },
            [] if view.study.manifest.seeds == 1 => p { "What one run each differs by may be chance or not: more " code { "--seeds" } " tell." },
            [] => p { "No other figure differs from the baseline by more than chance." },
            names => p {
                "Also different from the baseline, each at 95 %: "
                @for (at, name) in names.iter().take(NAMED).enumerate() { @if at > 0 { ", " } code { (name) } }
                @if names.len() > NAMED { " and " (names.len() - NAMED) " more" }
                " (" a href="#paired" { "by how much" } ")."
            },
        }
    }
}

fn clause(view: &View<'_>, figure: &Figure, point: usize, found: &Difference) -> Markup {
    let mean = found.estimate.mean;
    let format = figure.format.of_difference(mean, found.estimate.interval.map_or(0.0, |it| it.half_width()));
    let level = figure.mean(view.baseline).filter(|mean| *mean != 0.0);
    let sure = found.estimate.interval.is_some_and(|it| it.low > 0.0 || it.high < 0.0);
    html! {
        "With " strong { (view.labels.points[point]) } " it is "
        @if found.is_none() { "the same in every pair of runs." }
        @else if mean == 0.0 { "the same in the mean." }
        @else {
            @if mean > 0.0 { "higher" } @else { "lower" } " by " strong { (format.full(mean.abs())) }
            @if let Some(level) = level { " (" (change(mean / level.abs())) ")" }
            @if let Some(interval) = found.estimate.interval {
                "; 95 % interval of the difference " (format.interval(interval))
                @if let Some(p) = found.p { @if p < 0.0001 { ", p " (probability(p)) } @else { ", p = " (probability(p)) } }
            }
            "."
            @if !sure && found.estimate.interval.is_some() { " That may be chance." }
        }
    }
}

/// The interval of the difference from the baseline does not hold 0.
fn is_sure(view: &View<'_>, figure: &Figure, point: usize) -> bool {
    let found = difference(&view.pairs(figure, view.baseline, point));
    found.and_then(|it| it.estimate.interval).is_some_and(|it| it.low > 0.0 || it.high < 0.0)
}

/// Many points: the extremes, how many differ, and what it depends on.
fn overall(view: &View<'_>, figure: &Figure) -> Markup {
    let known = |point: usize| figure.mean(point).map(|mean| (point, mean));
    let means: Vec<(usize, f64)> = (0..view.points()).filter_map(known).collect();
    let least = means.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
    let most = means.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let differ = view.others().filter(|point| is_sure(view, figure, *point)).count();
    let one_each = view.study.manifest.seeds == 1;
    html! {
        @if let Some(((low, least), (high, most))) = least.zip(most) {
            p {
                "Among the " (view.points()) " points its mean goes from " strong { (figure.format.full(least)) } " (" (view.labels.points[low]) ") to "
                strong { (figure.format.full(most)) } " (" (view.labels.points[high]) ")"
                @if one_each { ". One run each does not tell how much of that is chance." } @else if sweeps::is_scattered(view) { "." } @else {
                    "; " (differ) " of " (view.points() - 1) " differ from the baseline by more than chance, each at 95 %."
                }
            }
        }
        @if let Some(said) = sweeps::dependence(view, figure) { p { (said) } }
    }
}
