//! Lines, steps, dots and whiskers.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::page::number::px;

/// Through places.
pub(in crate::page) fn line(class: &str, places: &[(f64, f64)]) -> Markup {
    html! { path class=(class) d=(path(places)) {} }
}

/// From each place on at its height until the next.
pub(in crate::page) fn steps(class: &str, places: &[(f64, f64)]) -> Markup {
    let mut way = String::new();
    for (at, (x, y)) in places.iter().enumerate() {
        let _ = match at {
            0 => write!(way, "M{} {}", px(*x), px(*y)),
            _ => write!(way, "H{}V{}", px(*x), px(*y)),
        };
    }
    html! { path class=(class) d=(way) {} }
}

/// A value with its interval upward; both ends are at the value where there is none.
pub(in crate::page) fn whisker(x: f64, y: f64, (low, high): (f64, f64)) -> Markup {
    html! {
        @if low != high {
            line.whisker x1=(px(x)) x2=(px(x)) y1=(px(low)) y2=(px(high)) {}
        }
        circle.dot cx=(px(x)) cy=(px(y)) r="3.5" {}
    }
}

pub(super) fn path(places: &[(f64, f64)]) -> String {
    let mut way = String::new();
    for (at, (x, y)) in places.iter().enumerate() {
        let _ = write!(way, "{}{} {}", if at == 0 { "M" } else { "L" }, px(*x), px(*y));
    }
    way
}
