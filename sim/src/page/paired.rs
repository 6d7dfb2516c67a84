//! Every point against the baseline, run by run: both had the same seeds, so luck that both had cancels.

use maud::{Markup, html};

use super::Section;
use super::chart::scale::Scale;
use super::chart::strip::{scale, strip};
use super::number::{change, counted, probability};
use super::pieces::{head, table};
use super::view::{Figure, View};
use crate::stats::{CONFIDENCE, Difference, difference};

/// Points that have a table each; figures in one.
const POINTS: usize = 8;
const FIGURES: usize = 12;

struct Row<'a> {
    figure: &'a Figure,
    before: f64,
    found: Difference,
}

impl Row<'_> {
    fn share(&self, value: f64) -> Option<f64> {
        (self.before != 0.0).then(|| value / self.before.abs())
    }

    fn interval(&self) -> Option<(f64, f64)> {
        let it = self.found.estimate.interval?;
        Some((self.share(it.low)?, self.share(it.high)?))
    }

    fn is_sure(&self) -> bool {
        self.found.estimate.interval.is_some_and(|it| it.low > 0.0 || it.high < 0.0)
    }
}

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    if view.points() < 2 || view.is_without_pairs() {
        return None;
    }
    let points: Vec<usize> =
        view.drawn(POINTS + 1).into_iter().filter(|point| *point != view.baseline).collect();
    let all: Vec<Vec<Row<'_>>> = points.iter().map(|point| rows(view, *point)).collect();
    let tests: usize = all.iter().map(Vec::len).sum();
    let body = html! {
        p.note {
            "Differences of pairs of runs that have the same seed, in the mean, with their 95 % intervals and p of the paired t test. Each is tested for itself: of "
            (tests) " tests about " (format!("{:.0}", (1.0 - CONFIDENCE) * tests as f64)) " would find something where there is nothing. "
            "The drawing is in percent of the baseline’s mean; arrows lead on beyond it. (pp: percentage points.)"
        }
        @if points.len() < view.points() - 1 {
            p.note { "Shown are " (points.len()) " of " (view.points() - 1) " points." }
        }
        @for (point, rows) in points.iter().zip(&all) {
            h3 { (view.labels.points[*point]) " against " (view.labels.points[view.baseline]) }
            (block(view, *point, rows))
        }
    };
    Some(Section { id: "paired", title: "Against the baseline", body })
}

fn rows<'a>(view: &'a View<'_>, point: usize) -> Vec<Row<'a>> {
    let row = |figure: &'a Figure| {
        let pairs = view.pairs(figure, view.baseline, point);
        let before = pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.len().max(1) as f64;
        Some(Row { figure, before, found: difference(&pairs)? })
    };
    view.telling().filter_map(row).collect()
}

fn block(view: &View<'_>, point: usize, rows: &[Row<'_>]) -> Markup {
    let (same, differ): (Vec<&Row<'_>>, Vec<&Row<'_>>) = rows.iter().partition(|row| row.found.is_none());
    let (open, folded) = differ.split_at(differ.len().min(FIGURES));
    let (scale, range) = shared(&differ);
    let pairs = view.primary().map_or(0, |figure| view.pairs(figure, view.baseline, point).len());
    let caption = format!("{}; bold: the interval does not hold 0", counted(pairs, "pair", "pairs"));
    html! {
        @if open.is_empty() { p { "No figure differs in any pair of runs." } } @else { (differences(&caption, &scale, &range, open)) }
        @if !folded.is_empty() {
            details { summary { (counted(folded.len(), "more figure", "more figures")) } (differences(&caption, &scale, &range, folded)) }
        }
        @if !same.is_empty() && !open.is_empty() {
            p.note { "The same in every pair: " @for (at, row) in same.iter().enumerate() { @if at > 0 { ", " } code { (row.figure.name) } } "." }
        }
    }
}

/// Even to both sides; what is far larger than the rest goes beyond it.
fn shared(rows: &[&Row<'_>]) -> (Scale, String) {
    let ends = rows
        .iter()
        .filter_map(|row| row.interval().or_else(|| row.share(row.found.estimate.mean).map(|it| (it, it))));
    let mut sizes: Vec<f64> = ends.map(|(low, high)| low.abs().max(high.abs())).collect();
    sizes.sort_by(f64::total_cmp);
    let far = sizes.get(sizes.len() * 3 / 4).copied().unwrap_or(1.0).max(1e-9);
    let far = far * 1.1;
    (scale((-far, far)), format!("{} to {}", change(-far), change(far)))
}

fn differences(caption: &str, scale: &Scale, range: &str, rows: &[&Row<'_>]) -> Markup {
    let columns = [
        ("Figure", false),
        ("Baseline", true),
        ("Difference", true),
        ("95 % interval", true),
        ("Change", true),
        ("p", true),
        (range, false),
    ];
    let row = |row: &&Row<'_>| {
        let mean = row.found.estimate.mean;
        let interval = row.found.estimate.interval;
        let format = row.figure.format.of_difference(mean, interval.map_or(0.0, |it| it.half_width()));
        let text = format.signed_full(mean);
        html! {
            tr {
                th scope="row" { code { (row.figure.name) } }
                td.n { (row.figure.format.full(row.before)) }
                td.n { @if row.is_sure() { strong { (text) } } @else { (text) } }
                td.n { @match interval { Some(it) => (format.interval(it)), None => "–" } }
                td.n { @match row.share(mean) { Some(share) => (change(share)), None => "–" } }
                td.n { @match row.found.p { Some(p) => (probability(p)), None => "–" } }
                td { @if let Some(share) = row.share(mean) { (strip(scale, share, row.interval(), None, Some(0.0))) } }
            }
        }
    };
    table(caption, head(&columns), html! { tbody { @for it in rows { (row(it)) } } })
}
