//! Means as a map by two settings.

use maud::{Markup, html};

use super::levels;
use crate::page::chart::heat::Map;
use crate::page::label::clipped;
use crate::page::pieces::panel;
use crate::page::view::{Figure, View};

/// Of a value beside a row or under a column.
const WIDE: usize = 14;

pub(super) fn markup(view: &View<'_>, figures: &[&Figure], slow: usize, fast: usize) -> Markup {
    html! {
        p.note { "Means over seeds; darker is more, by itself in each map." }
        div.panels.broad { @for figure in figures.iter().take(4) { (drawn(view, figure, slow, fast)) } }
    }
}

fn drawn(view: &View<'_>, figure: &Figure, slow: usize, fast: usize) -> Markup {
    let (rows, columns) = (ordered(view, slow), ordered(view, fast));
    let points = &view.study.manifest.points;
    let cell = |row: &str, column: &str| {
        let point = points.iter().position(|it| it.values[slow] == row && it.values[fast] == column)?;
        let mean = figure.mean(point)?;
        Some((mean, figure.format.number(mean)))
    };
    let cells: Vec<Vec<Option<(f64, String)>>> =
        rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect();
    let short = |values: &[&str]| {
        values.iter().map(|value| clipped(value.trim_matches('"'), WIDE)).collect::<Vec<_>>()
    };
    let (row_names, column_names) = (short(&rows), short(&columns));
    let (upward, along) = (&view.labels.paths[slow], &view.labels.paths[fast]);
    let map = Map { rows: &row_names, columns: &column_names, along, upward, cells };
    let frame = map.frame();
    let marks = map.marks(&frame);
    let means = || (0..view.points()).filter_map(|point| figure.mean(point).map(|mean| (point, mean)));
    let told = |end: Option<(usize, f64)>, what: &str| {
        end.map_or_else(String::new, |(point, mean)| {
            format!("{what} {} at {}. ", figure.format.full(mean), view.labels.points[point])
        })
    };
    let least = told(means().min_by(|a, b| a.1.total_cmp(&b.1)), "Least");
    let most = told(means().max_by(|a, b| a.1.total_cmp(&b.1)), "Greatest");
    let unit = match figure.format.shown.suffix.as_str() {
        "" => String::new(),
        suffix => format!(", in {suffix}"),
    };
    let caption = html! { code { (figure.name) } span.unit { (unit) } };
    panel(
        caption,
        &frame,
        &format!("{} by {upward} and {along}", figure.name),
        &format!("{least}{most}"),
        marks,
    )
}

/// Numbers by their size, names as in the plan.
fn ordered<'a>(view: &View<'a>, path: usize) -> Vec<&'a str> {
    let mut levels = levels(view, path);
    if let Some(numbers) = view.numbers(path) {
        let points = &view.study.manifest.points;
        let value = |level: &str| {
            points.iter().position(|point| point.values[path] == level).map_or(0.0, |point| numbers[point])
        };
        levels.sort_by(|a, b| value(a).total_cmp(&value(b)));
    }
    levels
}
