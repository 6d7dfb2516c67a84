//! A map of cells by two settings, each with its number in it.

use maud::{Markup, html};

use super::{CHARACTER, Frame};
use crate::page::number::px;

const CELL: f64 = 30.0;

pub(in crate::page) struct Map<'a> {
    pub columns: &'a [String],
    pub rows: &'a [String],
    /// What goes along and what upward.
    pub along: &'a str,
    pub upward: &'a str,
    /// By row, then column: the value and its text. `None`: it was not run.
    pub cells: Vec<Vec<Option<(f64, String)>>>,
}

impl Map<'_> {
    fn wide(&self) -> f64 {
        let texts = self.cells.iter().flatten().flatten().map(|(_, text)| text);
        let longest = texts.chain(self.columns).map(|text| text.chars().count()).max().unwrap_or(0);
        (12.0 + CHARACTER * longest as f64).max(40.0)
    }

    pub(in crate::page) fn frame(&self) -> Frame {
        let longest = self.rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        let left = (14.0 + CHARACTER * longest as f64).max(40.0);
        let across = self.wide() * self.columns.len() as f64;
        let needed = CHARACTER * self.along.chars().count() as f64;
        let height = 20.0 + CELL * self.rows.len() as f64 + 36.0;
        Frame { width: left + across.max(needed) + 6.0, height, left, right: 6.0, top: 20.0, bottom: 36.0 }
    }

    pub(in crate::page) fn marks(&self, frame: &Frame) -> Markup {
        let known = || self.cells.iter().flatten().flatten().map(|(value, _)| *value);
        let (least, most) = (known().fold(f64::MAX, f64::min), known().fold(f64::MIN, f64::max));
        let part = |value: f64| if most > least { (value - least) / (most - least) } else { 0.5 };
        let wide = self.wide();
        let left = |column: usize| frame.left + wide * column as f64;
        // The first row at the bottom, as on an axis.
        let top = |row: usize| frame.top + CELL * (self.rows.len() - 1 - row) as f64;
        let base = frame.height - frame.bottom;
        html! {
            text.tick x="2" y=(px(frame.top - 7.0)) { (self.upward) }
            @for (row, cells) in self.cells.iter().enumerate() {
                text.tick.end x=(px(frame.left - 6.0)) y=(px(top(row) + CELL / 2.0 + 4.0)) { (self.rows[row]) }
                @for (column, cell) in cells.iter().enumerate() {
                    @if let Some((value, text)) = cell {
                        @let colour = colour(part(*value));
                        rect.cell x=(px(left(column))) y=(px(top(row))) width=(px(wide)) height=(px(CELL)) fill=(colour.hex()) {}
                        text.tick.middle x=(px(left(column) + wide / 2.0)) y=(px(top(row) + CELL / 2.0 + 4.0)) style={ "fill:" (colour.ink()) } {
                            (text)
                        }
                    }
                }
            }
            @for (column, text) in self.columns.iter().enumerate() {
                text.tick.middle x=(px(left(column) + wide / 2.0)) y=(px(base + 15.0)) { (text) }
            }
            text.tick.middle x=(px(frame.left + wide * self.columns.len() as f64 / 2.0)) y=(px(frame.height - 4.0)) { (self.along) }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Colour([f64; 3]);

/// From pale yellow over blue-green to dark blue: lightness falls all the way, so order is seen without hues, too.
fn colour(part: f64) -> Colour {
    const STOPS: [[f64; 3]; 4] =
        [[253.0, 246.0, 205.0], [150.0, 204.0, 186.0], [48.0, 126.0, 168.0], [22.0, 42.0, 104.0]];
    let place = part.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (place.floor() as usize).min(STOPS.len() - 2);
    let share = place - below as f64;
    Colour(std::array::from_fn(|at| STOPS[below][at] + (STOPS[below + 1][at] - STOPS[below][at]) * share))
}

impl Colour {
    fn hex(self) -> String {
        let [red, green, blue] = self.0.map(|part| part.round() as u8);
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Relative luminance as WCAG 2 has it.
    fn luminance(self) -> f64 {
        let linear = |part: f64| match part / 255.0 {
            dark if dark <= 0.04045 => dark / 12.92,
            light => ((light + 0.055) / 1.055).powf(2.4),
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Black or white, whichever is read better.
    fn ink(self) -> &'static str {
        if self.luminance() > 0.179 { "#000" } else { "#fff" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_can_be_read_on_its_cell() {
        for step in 0..=100 {
            let colour = colour(f64::from(step) / 100.0);
            let ink = if colour.ink() == "#fff" { 1.0 } else { 0.0 };
            let (light, dark) = (colour.luminance().max(ink), colour.luminance().min(ink));
            assert!((light + 0.05) / (dark + 0.05) >= 4.5, "{step}: {}", colour.hex());
        }
    }

    #[test]
    fn more_is_darker() {
        let lightness = |step: u32| colour(f64::from(step) / 100.0).luminance();
        assert!((1..=100).all(|step| lightness(step) < lightness(step - 1)));
    }
}
