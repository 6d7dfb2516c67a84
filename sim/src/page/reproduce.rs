//! How to get the same results again.

use maud::html;

use super::Section;
use super::header::paragraphs;
use super::outliers::{file, line};
use super::pieces::{command, plain};
use super::view::View;
use crate::again::quoted;
use crate::sweep::split;

pub(super) fn section(view: &View<'_>) -> Section {
    let manifest = &view.study.manifest;
    let file = file(view).display().to_string();
    let first = view.rows.iter().flatten().find(|row| !row.trace_hash.is_empty());
    let (sweep, list) = sweep(view, &file);
    let asides = paragraphs(&manifest.text).into_iter().filter(|it| it.aside);
    let body = html! {
        p { "With build " code { (manifest.build) } " of labman-sim, and the scenario below saved as " code { (file) } " (" code { "jq -j .text manifest.json > " (file) } "):" }
        (command(&sweep))
        @if let Some(list) = list {
            details { summary { "points.csv" } pre tabindex="0" { (list) } }
        }
        @if let Some(row) = first {
            p { "One run of it, and the hash of all that happened in it:" }
            (command(&line(view, row.point as usize, row.seed)))
            p { "trace " code { (row.trace_hash) } }
        }
        @for it in asides { (plain(&it)) }
        p.note { "The results depend on scenario, seeds and build alone, not on how many run at a time or where." }
        details { summary { "The scenario, " code { (file) } } pre tabindex="0" { code { (manifest.text) } } }
    };
    Section { id: "reproduce", title: "How to get this again", body }
}

/// The command, and the list of points that it reads where they are no grid.
fn sweep(view: &View<'_>, file: &str) -> (String, Option<String>) {
    let manifest = &view.study.manifest;
    let mut words = format!("labman-sim sweep {} --seeds {}", quoted(file), manifest.seeds);
    if manifest.first_seed != 1 {
        words += &format!(" --first-seed {}", manifest.first_seed);
    }
    for set in &manifest.sets {
        words += &format!(" --set {}", quoted(set));
    }
    let mut list = None;
    match grid(view) {
        Some(levels) => {
            for (path, values) in manifest.paths.iter().zip(levels) {
                words += &format!(" --grid {}", quoted(&format!("{path}={}", values.join(","))));
            }
        }
        None => {
            words += " --list points.csv";
            list = Some(points(view));
        }
    }
    if let Some(shard) = &manifest.shard {
        words += &format!(" --shard {}", quoted(shard));
    }
    (format!("{words} --out results\nlabman-sim report results{}", view.options()), list)
}

/// The values of each path, if points are all combinations of them, the first path varying slowest.
fn grid<'a>(view: &View<'a>) -> Option<Vec<Vec<&'a str>>> {
    let manifest = &view.study.manifest;
    let mut levels: Vec<Vec<&str>> = vec![Vec::new(); manifest.paths.len()];
    for point in &manifest.points {
        for (values, value) in levels.iter_mut().zip(&point.values) {
            if !values.contains(&value.as_str()) {
                values.push(value);
            }
        }
    }
    let mut stride = 1;
    let mut at = vec![0; levels.len()];
    for (path, values) in levels.iter().enumerate().rev() {
        at[path] = stride;
        stride *= values.len();
    }
    let value = |point: usize, path: usize| levels[path][point / at[path] % levels[path].len()];
    let same = |(point, of): (usize, &crate::results::PointOf)| {
        of.values.iter().enumerate().all(|(path, it)| it == value(point, path))
    };
    // A text with a comma, from a list, can't stand between commas.
    let readable = levels.iter().all(|values| split(&values.join(",")) == *values);
    (readable && stride == manifest.points.len() && manifest.points.iter().enumerate().all(same))
        .then_some(levels)
}

fn points(view: &View<'_>) -> String {
    let manifest = &view.study.manifest;
    let mut out = csv::Writer::from_writer(Vec::new());
    let written = out
        .write_record(&manifest.paths)
        .and_then(|()| manifest.points.iter().try_for_each(|point| out.write_record(&point.values)));
    let text = written.ok().and_then(|()| out.into_inner().ok()).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}
