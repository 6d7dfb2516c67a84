//! How runs go over virtual time: the median of each series, and where half and nine tenths of the runs lie.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::Section;
use super::chart::band::{Spread, fan};
use super::chart::scale::Scale;
use super::chart::{Frame, axes};
use super::number::counted;
use super::pieces::panel;
use super::unit::Unit;
use super::view::View;
use crate::stats::quantile;

/// Points that are drawn; of more, a choice.
const POINTS: usize = 6;

/// Of one series: by point, in the order of time.
type Fans = BTreeMap<usize, Vec<Spread>>;

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let points = view.drawn(POINTS);
    let series = gathered(view, &points);
    if series.is_empty() {
        return None;
    }
    let still = |fans: &Fans| fans.values().flatten().all(|it| it.parts == [0.0; 5]);
    let (nothing, drawn): (Vec<_>, Vec<_>) = series.iter().partition(|(_, fans)| still(fans));
    let body = html! {
        p.note {
            "The line is the median over runs, the dark band holds half of them, the light band nine tenths (5 to 95 %)."
            @if points.len() > 1 { " Dashed: the median of the baseline. All drawings of a series have one scale." }
            @if points.len() < view.points() { " Of " (view.points()) " points the baseline and " (points.len() - 1) " others are drawn, from the least to the greatest mean of what the page is about." }
        }
        @if points.len() == 1 {
            div.panels { @for (name, fans) in &drawn { @for part in facets(view, name, fans) { (part) } } }
        } @else {
            @for (name, fans) in &drawn {
                h3 { code { (name) } }
                div.panels { @for part in facets(view, name, fans) { (part) } }
            }
        }
        @if !nothing.is_empty() {
            p.note {
                (counted(nothing.len(), "series is", "series are")) " zero throughout: "
                @for (at, (name, _)) in nothing.iter().enumerate() { @if at > 0 { ", " } code { (name) } } "."
            }
        }
    };
    Some(Section { id: "time", title: "Over virtual time", body })
}

/// In the order of names.
fn gathered<'a>(view: &View<'a>, points: &[usize]) -> BTreeMap<&'a str, Fans> {
    let drawn: BTreeSet<usize> = points.iter().copied().collect();
    let mut values: BTreeMap<&str, BTreeMap<usize, BTreeMap<Moment, Vec<f64>>>> = BTreeMap::new();
    for tick in view
        .study
        .ticks
        .iter()
        .filter(|tick| drawn.contains(&(tick.point as usize)) && tick.value.is_finite())
    {
        let of_point = values.entry(&tick.series).or_default().entry(tick.point as usize).or_default();
        of_point.entry(Moment(tick.at_s)).or_default().push(tick.value);
    }
    let spread = |(at, mut values): (Moment, Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        let part = |part: f64| quantile(&values, part).unwrap_or_default();
        Spread { at: at.0, parts: [0.05, 0.25, 0.5, 0.75, 0.95].map(part) }
    };
    let fans = |by_point: BTreeMap<usize, BTreeMap<Moment, Vec<f64>>>| {
        by_point
            .into_iter()
            .map(|(point, by_time)| (point, by_time.into_iter().map(spread).collect()))
            .collect()
    };
    values.into_iter().map(|(name, by_point)| (name, fans(by_point))).collect()
}

/// Seconds, ordered.
#[derive(Clone, Copy)]
struct Moment(f64);

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A drawing for each point.
fn facets(view: &View<'_>, name: &str, fans: &Fans) -> Vec<Markup> {
    let all = || fans.values().flatten();
    let least = all().map(|it| it.parts[0]).fold(f64::MAX, f64::min).min(0.0);
    let most = all().map(|it| it.parts[4]).fold(f64::MIN, f64::max);
    let shown = Unit::of(name).shown(most.abs().max(least.abs()), view.currency());
    let last = all().map(|it| it.at).fold(0.0, f64::max);
    let time = Unit::Time { seconds: 1.0 }.shown(last, "");
    let scaled = |spreads: &Vec<Spread>| -> Vec<Spread> {
        let one =
            |it: &Spread| Spread { at: it.at * time.factor, parts: it.parts.map(|part| part * shown.factor) };
        spreads.iter().map(one).collect()
    };
    let range = (least * shown.factor, most * shown.factor);
    let labels: Vec<String> = Scale::nice(range, (0.0, 1.0)).ticks(4).into_iter().map(|it| it.1).collect();
    let frame = Frame::panel(&labels);
    let (x, y) = (Scale::linear((0.0, last * time.factor), frame.x()), Scale::nice(range, frame.y()));
    let along = format!("virtual time, {}", time.suffix);
    let reference = fans.get(&view.baseline).map(&scaled);
    let facet = |(point, spreads): (&usize, &Vec<Spread>)| {
        let spreads = scaled(spreads);
        let marks = html! {
            (axes(&frame, &x, &y, &shown.suffix, &along))
            (fan(&x, &y, &spreads, reference.as_deref().filter(|_| *point != view.baseline)))
        };
        let of = &view.labels.points[*point];
        let caption = html! {
            @if fans.len() == 1 && view.points() == 1 { code { (name) } } @else { (of) @if *point == view.baseline { " (baseline)" } }
        };
        panel(
            caption,
            &frame,
            &format!("{name} over virtual time, {of}"),
            &described(&spreads, &shown.suffix, &time.suffix),
            marks,
        )
    };
    fans.iter().map(facet).collect()
}

fn described(spreads: &[Spread], unit: &str, time: &str) -> String {
    let highest = spreads.iter().max_by(|a, b| a.parts[2].total_cmp(&b.parts[2]));
    let Some((last, highest)) = spreads.last().zip(highest) else { return String::new() };
    format!(
        "The median is at most {:.3} {unit} (at {:.1} {time}) and {:.3} {unit} at the end, where nine tenths of the runs lie between {:.3} and {:.3}.",
        highest.parts[2], highest.at, last.parts[2], last.parts[0], last.parts[4]
    )
}
