//! Every figure at every point: median, where nine of ten runs lie, and the mean with its interval.

use maud::{Markup, html};

use super::Section;
use super::chart::strip::{scale, strip};
use super::number::counted;
use super::pieces::{head, table};
use super::view::{Figure, View};

/// Figures that are shown at once.
const OPEN: usize = 8;
/// Points of a figure that are shown; of more, those that are drawn elsewhere.
const POINTS: usize = 9;

pub(super) fn section(view: &View<'_>) -> Section {
    let (constant, varying): (Vec<&Figure>, Vec<&Figure>) = view.figures.iter().partition(|it| it.constant);
    let (open, folded) = varying.split_at(varying.len().min(OPEN));
    let points = view.drawn(POINTS);
    let body = html! {
        p.note {
            "One value a run. Thin lines are where nine of ten runs lie, thick ones the 95 % intervals of means (Student’s t), dots the means; within a figure all are on one scale."
            @if view.points() > 1 {
                " First come what the page is about and what the scenario expects something of, then "
                @if view.study.manifest.seeds == 1 { "the usual ones." } @else { "what differs most between points." }
            }
            @if points.len() < view.points() {
                " Shown are the baseline and " (points.len() - 1) " of " (view.points() - 1) " other points, from the least to the greatest "
                @if let Some(figure) = view.primary() { code { (figure.name) } }
                "; all are in " code { "runs.csv" } "."
            }
        }
        @if open.is_empty() { p { "No figure differs between any two runs." } } @else { (figures(view, open, &points)) }
        @if !folded.is_empty() {
            details { summary { (counted(folded.len(), "more figure varies", "more figures vary")) } (figures(view, folded, &points)) }
        }
        @if !constant.is_empty() {
            details { summary { (counted(constant.len(), "figure is", "figures are")) " the same in every run" } (constants(&constant)) }
        }
    };
    Section { id: "figures", title: "Figures", body }
}

fn figures(view: &View<'_>, figures: &[&Figure], points: &[usize]) -> Markup {
    let several = points.len() > 1;
    let first = if several { "Figure, and point" } else { "Figure" };
    let columns = [
        (first, false),
        ("Median", true),
        ("5 to 95 %", true),
        ("Mean", true),
        ("95 % interval", true),
        ("", false),
    ];
    table(
        "Figures by point",
        head(&columns),
        html! {
            @for figure in figures {
                tbody {
                    @if several {
                        tr { th.group scope="rowgroup" colspan="6" { (name(figure)) } }
                    }
                    @for row in rows(view, figure, points) { (row) }
                }
            }
        },
    )
}

fn name(figure: &Figure) -> Markup {
    html! {
        code { (figure.name) }
        @if !figure.format.shown.suffix.is_empty() { " " span.unit { "in " (figure.format.shown.suffix) } }
    }
}

fn rows(view: &View<'_>, figure: &Figure, points: &[usize]) -> Vec<Markup> {
    let known = || points.iter().filter_map(|point| figure.summaries[*point]);
    let ends = || {
        known().flat_map(|it| {
            let mean = it.estimate.interval.map_or([it.estimate.mean; 2], |around| [around.low, around.high]);
            [it.p5, it.p95, mean[0], mean[1]]
        })
    };
    let (least, most) = (ends().fold(f64::MAX, f64::min), ends().fold(f64::MIN, f64::max));
    let scale = scale((least, most));
    let mark = (points.len() > 1).then(|| figure.mean(view.baseline)).flatten();
    let format = &figure.format;
    let row = |point: &usize| {
        html! {
            tr.baseline[points.len() > 1 && *point == view.baseline] {
                th scope="row" { @if points.len() > 1 { (view.labels.points[*point]) } @else { (name(figure)) } }
                @match figure.summaries[*point] {
                    None => td colspan="5" { "no run has it" },
                    Some(it) => {
                        td.n { (format.number(it.median)) }
                        td.n { (format.number(it.p5)) " to " (format.number(it.p95)) }
                        td.n { strong { (format.number(it.estimate.mean)) } }
                        td.n { @match it.estimate.interval { Some(interval) => (format.interval(interval)), None => "–" } }
                        td { (strip(&scale, it.estimate.mean, it.estimate.interval.map(|it| (it.low, it.high)), Some((it.p5, it.p95)), mark)) }
                    }
                }
            }
        }
    };
    points.iter().map(row).collect()
}

fn constants(figures: &[&Figure]) -> Markup {
    table(
        "The same in every run",
        head(&[("Figure", false), ("Value", true)]),
        html! {
            tbody {
                @for figure in figures {
                    @let value = figure.summaries.iter().flatten().next().map(|it| it.median);
                    tr { th scope="row" { code { (figure.name) } } td.n { @if let Some(value) = value { (figure.format.full(value)) } } }
                }
            }
        },
    )
}
