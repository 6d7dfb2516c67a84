//! How long jobs waited: what part of them no longer than that, in the median over the runs of a point.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::line::line;
use super::chart::scale::Scale;
use super::chart::{Frame, axes};
use super::pieces::panel;
use super::unit::{Format, Unit};
use super::view::View;
use crate::stats::quantile;

/// As the results call it, and for people.
const UNTIL: [(&str, &str); 2] = [("ttft", "the first text"), ("sojourn", "the last byte")];

/// Microseconds by how many of a thousand jobs waited no longer, from the fewest to all.
type Curve = Vec<(u32, f64)>;

pub(super) fn markup(view: &View<'_>, points: &[usize]) -> Option<Markup> {
    let drawn: Vec<Markup> =
        UNTIL.iter().filter_map(|(until, named)| panels(view, points, until, named)).collect();
    (!drawn.is_empty()).then(|| html! { @for it in &drawn { (it) } })
}

/// `None` where nobody waited, or all did equally long.
fn panels(view: &View<'_>, points: &[usize], until: &str, named: &str) -> Option<Markup> {
    let curves: Vec<(usize, Curve)> = points
        .iter()
        .map(|point| (*point, curve(view, *point, until)))
        .filter(|(_, curve)| !curve.is_empty())
        .collect();
    let all: Vec<f64> = curves.iter().flat_map(|(_, curve)| curve.iter().map(|(_, us)| *us)).collect();
    let (least, most) =
        (all.iter().copied().fold(f64::MAX, f64::min), all.iter().copied().fold(0.0, f64::max));
    if most <= least {
        return None;
    }
    let format = Format::new(Unit::Time { seconds: 1e-6 }, most, 0.0, "");
    let shown = &format.shown;
    let frame = Frame::panel(&["100".into()]);
    let x = Scale::fitting(&all.iter().map(|us| us * shown.factor).collect::<Vec<_>>(), frame.x());
    let y = Scale::linear((0.0, 100.0), frame.y());
    let places = |curve: &Curve| -> Vec<(f64, f64)> {
        curve
            .iter()
            .map(|(permille, us)| (x.at(us * shown.factor), y.at(f64::from(*permille) / 10.0)))
            .collect()
    };
    let reference = curves.iter().find(|(point, _)| *point == view.baseline).map(|(_, curve)| places(curve));
    let one = |(point, curve): &(usize, Curve)| {
        let label = &view.labels.points[*point];
        let marks = html! {
            (axes(&frame, &x, &y, "% of jobs", &shown.suffix))
            @if let Some(reference) = reference.as_ref().filter(|_| *point != view.baseline) { (line("reference", reference)) }
            (line("line", &places(curve)))
        };
        let at = |permille: u32| {
            let us = curve.iter().find(|(at, _)| *at == permille).map_or(0.0, |(_, us)| *us);
            Format::new(Unit::Time { seconds: 1e-6 }, us, 0.0, "").full(us)
        };
        let description =
            format!("Half of the jobs waited {} at most, 95 % {}, 99 % {}.", at(500), at(950), at(990));
        let caption =
            html! { (label) ": half within " strong { (at(500)) } ", 95 % within " strong { (at(950)) } };
        panel(caption, &frame, &format!("Waits until {named}, {label}"), &description, marks)
    };
    Some(html! {
        h3 { "Waits until " (named) }
        p.note { "What part of the jobs waited at most so long, in the median over runs." }
        div.panels { @for it in &curves { (one(it)) } }
    })
}

fn curve(view: &View<'_>, point: usize, until: &str) -> Curve {
    let mut by_part: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    let of_it = |wait: &&crate::results::Wait| wait.point as usize == point && wait.until == until;
    for wait in view.study.waits.iter().filter(of_it) {
        by_part.entry(wait.permille).or_default().push(wait.us as f64);
    }
    let median = |mut of_runs: Vec<f64>| {
        of_runs.sort_by(f64::total_cmp);
        quantile(&of_runs, 0.5)
    };
    by_part.into_iter().filter_map(|(permille, of_runs)| Some((permille, median(of_runs)?))).collect()
}
