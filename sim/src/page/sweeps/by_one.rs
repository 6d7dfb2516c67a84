//! Means with their intervals along one setting.

use maud::{Markup, html};

use crate::page::answer::numbers;
use crate::page::chart::line::{line, whisker};
use crate::page::chart::scale::Scale;
use crate::page::chart::{Frame, axis};
use crate::page::pieces::panel;
use crate::page::view::{Figure, View};

/// `path`: `None` where several are varied together, and points stand side by side in their order.
pub(super) fn markup(view: &View<'_>, figures: &[&Figure], path: Option<usize>) -> Markup {
    let along = path.map_or("point", |path| view.labels.paths[path].as_str());
    let numbers = path.and_then(|path| numbers(view, path));
    html! {
        p.note { "Dots are means over seeds, upright lines their 95 % intervals." @if numbers.is_none() { " The order is that of the plan." } }
        div.panels { @for figure in figures { (drawn(view, figure, along, path.is_some(), numbers.as_deref())) } }
    }
}

fn drawn(view: &View<'_>, figure: &Figure, along: &str, named: bool, numbers: Option<&[f64]>) -> Markup {
    let factor = figure.format.shown.factor;
    let known: Vec<(usize, f64, Option<(f64, f64)>)> = (0..view.points())
        .filter_map(|point| {
            let estimate = figure.summaries[point]?.estimate;
            Some((
                point,
                estimate.mean * factor,
                estimate.interval.map(|it| (it.low * factor, it.high * factor)),
            ))
        })
        .collect();
    let ends = || {
        known
            .iter()
            .flat_map(|(_, mean, it)| [*mean, it.map_or(*mean, |it| it.0), it.map_or(*mean, |it| it.1)])
    };
    let range = (ends().fold(f64::MAX, f64::min), ends().fold(f64::MIN, f64::max));
    let labels: Vec<String> = Scale::nice(range, (0.0, 1.0)).ticks(4).into_iter().map(|it| it.1).collect();
    let frame = Frame::panel(&labels);
    let y = Scale::nice(range, frame.y());
    let places: Vec<f64> = match numbers {
        Some(numbers) => numbers.to_vec(),
        None => (0..view.points()).map(|point| point as f64).collect(),
    };
    let (least, most) =
        (places.iter().copied().fold(f64::MAX, f64::min), places.iter().copied().fold(f64::MIN, f64::max));
    let inside = (frame.left + 12.0, frame.width - frame.right - 8.0);
    let x = if numbers.is_some() {
        Scale::fitting((least, most), inside)
    } else {
        Scale::linear((least, most), inside)
    };
    let text = |point: usize| if named { view.labels.values[point].clone() } else { point.to_string() };
    let mut ticks: Vec<(f64, String)> =
        (0..view.points()).map(|point| (places[point], text(point))).collect();
    ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut way: Vec<(f64, f64)> =
        known.iter().map(|(point, mean, _)| (x.at(places[*point]), y.at(*mean))).collect();
    way.sort_by(|a, b| a.0.total_cmp(&b.0));
    let marks = html! {
        (axis::left(&frame, &y, &y.ticks(4)))
        (axis::unit(&frame, &figure.format.shown.suffix))
        (axis::bottom(&frame, &x, &ticks))
        (axis::along(&frame, along))
        @if numbers.is_some() { (line("line", &way)) }
        @for (point, mean, interval) in &known {
            (whisker(x.at(places[*point]), y.at(*mean), interval.map(|(low, high)| (y.at(low), y.at(high)))))
        }
    };
    let told = known.iter().map(|(point, mean, _)| {
        format!("{}: {}", view.labels.values[*point], figure.format.full(mean / factor))
    });
    let description = told.collect::<Vec<_>>().join("; ");
    panel(
        html! { code { (figure.name) } },
        &frame,
        &format!("{} by {along}", figure.name),
        &description,
        marks,
    )
}
