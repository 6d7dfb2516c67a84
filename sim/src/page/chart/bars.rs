//! Bars along, each made of parts that add up.

use maud::{Markup, html};

use super::scale::Scale;
use super::{CHARACTER, Frame, axis};
use crate::page::number::px;

const ROW: f64 = 30.0;
const THICK: f64 = 18.0;

pub(in crate::page) struct Bar {
    pub label: String,
    /// What each part is, and its text where it has room.
    pub parts: Vec<(f64, String)>,
    /// Beside the end.
    pub total: String,
}

/// How high bars so many are.
pub(in crate::page) fn frame(bars: &[Bar]) -> Frame {
    let longest = |texts: &mut dyn Iterator<Item = &String>| {
        texts.map(|text| text.chars().count()).max().unwrap_or(0) as f64 * CHARACTER
    };
    let left = 12.0 + longest(&mut bars.iter().map(|bar| &bar.label));
    let right = 12.0 + longest(&mut bars.iter().map(|bar| &bar.total));
    let height = 8.0 + ROW * bars.len() as f64 + 36.0;
    Frame { width: left + right + 300.0, height, left, right, top: 8.0, bottom: 36.0 }
}

/// Parts have the classes `part-0`, `part-1` and so on, which differ in pattern of edge and not in colour alone.
pub(in crate::page) fn bars(frame: &Frame, bars: &[Bar], along: &str) -> Markup {
    let total = |bar: &Bar| bar.parts.iter().map(|(value, _)| value).sum::<f64>();
    let most = bars.iter().map(total).fold(0.0, f64::max);
    let x = Scale::nice((0.0, most), frame.x());
    html! {
        (axis::bottom(frame, &x, &x.ticks(5)))
        (axis::along(frame, along))
        @for (row, bar) in bars.iter().enumerate() {
            @let top = frame.top + ROW * row as f64 + (ROW - THICK) / 2.0;
            text.tick.end x=(px(frame.left - 6.0)) y=(px(top + THICK - 5.0)) { (bar.label) }
            (parts(&x, bar, top))
            text.tick x=(px(x.at(total(bar)) + 6.0)) y=(px(top + THICK - 5.0)) { (bar.total) }
        }
    }
}

fn parts(x: &Scale, bar: &Bar, top: f64) -> Markup {
    let mut from = 0.0;
    let mut placed = Vec::new();
    for (value, text) in &bar.parts {
        placed.push((x.at(from), x.at(from + value.max(0.0)), text));
        from += value.max(0.0);
    }
    html! {
        @for (at, (left, right, text)) in placed.into_iter().enumerate() {
            rect class={ "part-" (at) } x=(px(left)) width=(px(right - left)) y=(px(top)) height=(px(THICK)) {}
            @if text.chars().count() as f64 * CHARACTER + 8.0 < right - left {
                text class={ "tick in-part-" (at) } x=(px(left + 5.0)) y=(px(top + THICK - 5.0)) { (text) }
            }
        }
    }
}
