//! Means with their intervals along one setting.

use maud::{Markup, html};

use crate::page::chart::line::{line, whisker};
use crate::page::chart::scale::Scale;
use crate::page::chart::{Frame, axis};
use crate::page::pieces::panel;
use crate::page::view::{Figure, View};

/// `path`: `None` where several are varied together, and points stand side by side in their order.
pub(super) fn markup(view: &View<'_>, figures: &[&Figure], path: Option<usize>) -> Markup {
    let along = path.map_or("point", |path| view.labels.paths[path].as_str());
    let numbers = path.and_then(|path| view.numbers(path));
    html! {
        p.note { "Dots are means over seeds, upright lines their 95 % intervals." @if numbers.is_none() { " The order is that of the plan." } }
        div.panels { @for figure in figures { (drawn(view, figure, along, path.is_some(), numbers.as_deref())) } }
    }
}

/// A point's mean over seeds, in the figure's shown unit, and its interval: the mean itself where there is none.
struct Mean {
    point: usize,
    mean: f64,
    low: f64,
    high: f64,
}

fn means(view: &View<'_>, figure: &Figure) -> Vec<Mean> {
    let factor = figure.format.shown.factor;
    let mean = |point: usize| {
        let estimate = figure.summaries[point]?.estimate;
        let (low, high) = estimate.interval.map_or((estimate.mean, estimate.mean), |it| (it.low, it.high));
        Some(Mean { point, mean: estimate.mean * factor, low: low * factor, high: high * factor })
    };
    (0..view.points()).filter_map(mean).collect()
}

fn drawn(view: &View<'_>, figure: &Figure, along: &str, named: bool, numbers: Option<&[f64]>) -> Markup {
    let means = means(view, figure);
    let least = means.iter().map(|it| it.low).fold(f64::MAX, f64::min);
    let most = means.iter().map(|it| it.high).fold(f64::MIN, f64::max);
    let labels = Scale::nice((least, most), (0.0, 1.0)).ticks(4).into_iter().map(|it| it.1);
    let frame = Frame::panel(&labels.collect::<Vec<_>>());
    let y = Scale::nice((least, most), frame.y());
    let places: Vec<f64> = match numbers {
        Some(numbers) => numbers.to_vec(),
        None => (0..view.points()).map(|point| point as f64).collect(),
    };
    let x = across(&frame, &places, numbers.is_some());
    let text = |point: usize| if named { view.labels.values[point].clone() } else { point.to_string() };
    let mut ticks: Vec<(f64, String)> =
        (0..view.points()).map(|point| (places[point], text(point))).collect();
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut way: Vec<(f64, f64)> = means.iter().map(|it| (x.at(places[it.point]), y.at(it.mean))).collect();
    way.sort_by(|a, b| a.0.total_cmp(&b.0));
    let marks = html! {
        (axis::left(&frame, &y, &y.ticks(4)))
        (axis::unit(&frame, &figure.format.shown.suffix))
        (axis::bottom(&frame, &x, &ticks))
        (axis::along(&frame, along))
        @if numbers.is_some() { (line("line", &way)) }
        @for it in &means { (whisker(x.at(places[it.point]), y.at(it.mean), (y.at(it.low), y.at(it.high)))) }
    };
    let told = means.iter().map(|it| {
        let mean = figure.mean(it.point).unwrap_or_default();
        format!("{}: {}", view.labels.values[it.point], figure.format.full(mean))
    });
    let title = format!("{} by {along}", figure.name);
    panel(html! { code { (figure.name) } }, &frame, &title, &told.collect::<Vec<_>>().join("; "), marks)
}

/// Numbers where they are, names side by side.
fn across(frame: &Frame, places: &[f64], numbers: bool) -> Scale {
    let inside = (frame.left + 12.0, frame.width - frame.right - 8.0);
    match numbers {
        true => Scale::fitting(places, inside),
        false => Scale::linear((0.0, places.len().saturating_sub(1) as f64), inside),
    }
}
