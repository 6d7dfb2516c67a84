//! Axes: thin lines across at round values, and their names.

use maud::{Markup, html};

use super::scale::Scale;
use super::{CHARACTER, Frame};
use crate::page::number::px;

pub(in crate::page) fn left(frame: &Frame, y: &Scale, ticks: &[(f64, String)]) -> Markup {
    let (from, to) = frame.x();
    html! {
        @for (value, text) in ticks {
            @let at = y.at(*value);
            line.grid x1=(px(from)) x2=(px(to)) y1=(px(at)) y2=(px(at)) {}
            text.tick.end x=(px(from - 6.0)) y=(px(at + 4.0)) { (text) }
        }
    }
}

/// Names that would stand in one another are left out.
pub(in crate::page) fn bottom(frame: &Frame, x: &Scale, ticks: &[(f64, String)]) -> Markup {
    let (base, _) = frame.y();
    html! {
        line.axis x1=(px(x.start())) x2=(px(x.end())) y1=(px(base)) y2=(px(base)) {}
        @for (value, _) in ticks {
            line.axis x1=(px(x.at(*value))) x2=(px(x.at(*value))) y1=(px(base)) y2=(px(base + 4.0)) {}
        }
        @for (at, text) in apart(frame, x, ticks) {
            text.tick.middle x=(px(at)) y=(px(base + 16.0)) { (text) }
        }
    }
}

/// Where names have room, from the left.
fn apart<'a>(frame: &Frame, x: &Scale, ticks: &'a [(f64, String)]) -> Vec<(f64, &'a String)> {
    let mut placed = Vec::new();
    let mut free = f64::MIN;
    for (value, text) in ticks {
        let (at, half) = (x.at(*value), text.chars().count() as f64 * CHARACTER / 2.0);
        if at - half >= free {
            let middle = at.clamp(half, (frame.width - half).max(half));
            placed.push((middle, text));
            free = middle + half + CHARACTER;
        }
    }
    placed
}

/// What values upward are in.
pub(in crate::page) fn unit(frame: &Frame, unit: &str) -> Markup {
    html! { @if !unit.is_empty() { text.tick x="2" y=(px(frame.top - 14.0)) { (unit) } } }
}

/// What goes along.
pub(in crate::page) fn along(frame: &Frame, what: &str) -> Markup {
    let (from, to) = frame.x();
    html! { text.tick.middle x=(px((from + to) / 2.0)) y=(px(frame.height - 4.0)) { (what) } }
}
