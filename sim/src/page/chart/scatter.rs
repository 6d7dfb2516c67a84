//! Points of a design by one of its settings.

use maud::{Markup, html};

use super::scale::Scale;
use super::{Frame, axes, axis};
use crate::page::number::px;

/// Places along: numbers, or names side by side.
pub(in crate::page) enum Along<'a> {
    Numbers(&'a [f64]),
    Names(&'a [String]),
}

/// One dot a point: `values` upward in `unit`.
pub(in crate::page) fn scatter(along: &Along<'_>, values: &[f64], unit: &str, what: &str) -> (Frame, Markup) {
    let range = |values: &[f64]| {
        (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(f64::MIN, f64::max))
    };
    let labels: Vec<String> =
        Scale::nice(range(values), (0.0, 1.0)).ticks(4).into_iter().map(|it| it.1).collect();
    let frame = Frame::panel(&labels);
    let y = Scale::nice(range(values), frame.y());
    let dots = |places: Vec<f64>| {
        html! {
            @for (x, value) in places.into_iter().zip(values) {
                circle.dot.faint cx=(px(x)) cy=(px(y.at(*value))) r="3" {}
            }
        }
    };
    let marks = match along {
        Along::Numbers(numbers) => {
            let x = Scale::fitting(numbers, (frame.left + 6.0, frame.width - frame.right));
            html! {
                (axes(&frame, &x, &y, unit, what))
                (dots(numbers.iter().map(|number| x.at(*number)).collect()))
            }
        }
        Along::Names(names) => {
            let mut levels: Vec<&String> = Vec::new();
            for name in *names {
                if !levels.contains(&name) {
                    levels.push(name);
                }
            }
            let x = Scale::linear((-0.5, levels.len() as f64 - 0.5), frame.x());
            let place = |name: &String| levels.iter().position(|level| *level == name).unwrap_or(0) as f64;
            let ticks: Vec<(f64, String)> =
                levels.iter().map(|name| (place(name), (*name).clone())).collect();
            html! {
                (axis::left(&frame, &y, &y.ticks(4)))
                (axis::unit(&frame, unit))
                (axis::bottom(&frame, &x, &ticks))
                (axis::along(&frame, what))
                (dots(names.iter().map(|name| x.at(place(name))).collect()))
            }
        }
    };
    (frame, marks)
}
