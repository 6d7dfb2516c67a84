//! Drawings as SVG inside the page: no script, colours from the page's style so that they follow light and dark.
//!
//! Each has a title and a description for those who can't see it. Widths are those of a telephone's screen, so that text in a
//! drawing is as large as text beside it; what must be wider scrolls.

pub(super) mod axis;
pub(super) mod band;
pub(super) mod bars;
pub(super) mod heat;
pub(super) mod line;
pub(super) mod lorenz;
pub(super) mod scale;
pub(super) mod scatter;
pub(super) mod strip;

use maud::{Markup, html};

use super::number::px;
use scale::Scale;

/// Pixels that a character of a label takes, about.
pub(super) const CHARACTER: f64 = 6.3;

/// A rectangle for marks, and what is left around it for labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub width: f64,
    pub height: f64,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Frame {
    /// Of a panel among others, with room for labels as long as these at the left.
    pub(super) fn panel(labels: &[String]) -> Self {
        let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let left = 14.0 + CHARACTER * longest as f64;
        Self { width: 300.0, height: 186.0, left, right: 14.0, top: 26.0, bottom: 36.0 }
    }

    pub(super) fn x(&self) -> (f64, f64) {
        (self.left, self.width - self.right)
    }

    /// Upward.
    pub(super) fn y(&self) -> (f64, f64) {
        (self.height - self.bottom, self.top)
    }
}

/// What is drawn, with what it is called and what it shows.
pub(super) fn drawing(frame: &Frame, title: &str, description: &str, marks: Markup) -> Markup {
    let (width, height) = (px(frame.width.ceil()), px(frame.height.ceil()));
    html! {
        svg role="img" viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) {
            title { (title) }
            desc { (description) }
            (marks)
        }
    }
}

/// Both axes of a panel, values upward: `unit` above the left one, `along` under the other.
pub(super) fn axes(frame: &Frame, x: &Scale, y: &Scale, unit: &str, along: &str) -> Markup {
    html! {
        (axis::left(frame, y, &y.ticks(4)))
        (axis::unit(frame, unit))
        (axis::bottom(frame, x, &x.ticks(5)))
        (axis::along(frame, along))
    }
}
