//! Runs that failed and runs far from their point's others, each with the line that runs it again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use maud::{Markup, html};

use super::Section;
use super::number::{counted, grouped};
use super::pieces::{head, table};
use super::view::{Figure, View};
use crate::again::again;
use crate::results::{Manifest, Row};
use crate::scenario::set::Set;
use crate::stats::quantile;

/// Failures and outliers that are listed.
const MOST: usize = 20;
/// Beyond this score a value is far from the others.
const FAR: f64 = 3.5;
/// Fewer runs of a point have no others to be far from.
const LEAST: usize = 8;

pub(super) fn section(view: &View<'_>) -> Section {
    let failed: Vec<(usize, &Row)> = runs(view).filter(|(_, row)| !row.passed).collect();
    let far = far(view);
    let body = html! {
        h3 { "Failed runs" }
        @if failed.is_empty() { p { "None." } } @else { (failures(view, &failed)) }
        h3 { "Runs far from the others of their point" }
        p.note {
            "By the modified z-score of a figure: 0.6745 times the distance from the point’s median, by the median of such distances (by 1.2533 times their mean where that is 0), beyond "
            (FAR) " (Iglewicz and Hoaglin, 1993). Such a run is not wrong: it is worth a look. A seed is listed where it is furthest; “also” counts other figures and points."
        }
        @if far.is_empty() { p { "None." } } @else { (outliers(view, &far)) }
    };
    Section { id: "outliers", title: "Failures and outliers", body }
}

fn runs<'a>(view: &'a View<'_>) -> impl Iterator<Item = (usize, &'a Row)> {
    view.rows.iter().enumerate().flat_map(|(point, rows)| rows.iter().map(move |row| (point, *row)))
}

fn failures(view: &View<'_>, failed: &[(usize, &Row)]) -> Markup {
    let columns = [("Point", false), ("Seed", true), ("What failed first", false), ("Again", false)];
    html! {
        (table("Failed runs", head(&columns), html! {
            tbody {
                @for (point, row) in failed.iter().take(MOST) {
                    tr {
                        th scope="row" { (view.labels.points[*point]) }
                        td.n { (row.seed) }
                        td.error { @if row.error.is_empty() { "not kept" } @else { (row.error) } }
                        td { pre { code { (line(view, *point, row.seed)) } } }
                    }
                }
            }
        }))
        @if failed.len() > MOST { p.note { (counted(failed.len() - MOST, "more run", "more runs")) " failed; all are in " code { "runs.csv" } "." } }
    }
}

/// A run with the figure in which it is furthest from the others.
struct Far<'a> {
    point: usize,
    row: &'a Row,
    score: f64,
    figure: &'a Figure,
    value: f64,
    median: f64,
    /// Other figures and points in which that seed's run is far.
    others: usize,
}

fn far<'a>(view: &'a View<'_>) -> Vec<Far<'a>> {
    // A seed that is odd at one point is so at others: it is told once.
    let mut by_seed: BTreeMap<u64, Far<'_>> = BTreeMap::new();
    for point in 0..view.points() {
        for figure in view.telling() {
            for (at, score, value, median) in scores(&figure.values[point]) {
                let row = view.rows[point][at];
                let others = by_seed.get(&row.seed).map_or(0, |it| it.others + 1);
                match by_seed.get_mut(&row.seed) {
                    Some(known) if known.score.abs() >= score.abs() => known.others = others,
                    _ => drop(
                        by_seed.insert(row.seed, Far { point, row, score, figure, value, median, others }),
                    ),
                }
            }
        }
    }
    let mut found: Vec<Far<'_>> = by_seed.into_values().collect();
    found.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    found
}

/// Those that are far: where, how far, the value, and the median.
fn scores(values: &[Option<f64>]) -> Vec<(usize, f64, f64, f64)> {
    let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
    if sorted.len() < LEAST {
        return Vec::new();
    }
    sorted.sort_by(f64::total_cmp);
    let median = quantile(&sorted, 0.5).unwrap_or_default();
    let mut distances: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
    distances.sort_by(f64::total_cmp);
    let scale = match quantile(&distances, 0.5) {
        Some(usual) if usual > 0.0 => usual / 0.6745,
        _ => 1.253_314 * distances.iter().sum::<f64>() / distances.len() as f64,
    };
    let score = |(at, value): (usize, &Option<f64>)| {
        let value = (*value)?;
        let score = (value - median) / scale;
        (score.is_finite() && score.abs() > FAR).then_some((at, score, value, median))
    };
    values.iter().enumerate().filter_map(score).collect()
}

fn outliers(view: &View<'_>, far: &[Far<'_>]) -> Markup {
    let columns = [
        ("Point", false),
        ("Seed", true),
        ("Furthest in", false),
        ("Value", true),
        ("Median", true),
        ("Score", true),
        ("Also", true),
        ("Again", false),
    ];
    html! {
        (table("Runs far from the others of their point, the furthest first", head(&columns), html! {
            tbody {
                @for it in far.iter().take(MOST) {
                    tr {
                        th scope="row" { (view.labels.points[it.point]) }
                        td.n { (it.row.seed) }
                        td { code { (it.figure.name) } }
                        td.n { (it.figure.format.full(it.value)) }
                        td.n { (it.figure.format.full(it.median)) }
                        td.n { (grouped(it.score, 1)) }
                        td.n { @if it.others > 0 { (counted(it.others, "time", "times")) } @else { "–" } }
                        td { pre { code { (line(view, it.point, it.row.seed)) } } }
                    }
                }
            }
        }))
        @if far.len() > MOST { p.note { (counted(far.len() - MOST, "more run is", "more runs are")) " far from the others." } }
    }
}

/// What makes a point of the scenario.
pub(super) fn sets(view: &View<'_>, point: usize) -> Vec<Set> {
    let manifest = &view.study.manifest;
    let always = manifest.sets.iter().filter_map(|set| set.parse().ok());
    let values = manifest.points.get(point).map_or(&[][..], |point| &point.values);
    always
        .chain(manifest.paths.iter().zip(values).filter_map(|(path, value)| Set::new(path, value).ok()))
        .collect()
}

/// The line that makes a run again.
pub(super) fn line(view: &View<'_>, point: usize, seed: u64) -> String {
    again(&file(view), seed, &sets(view, point))
}

/// What the scenario's text is to be saved as.
pub(super) fn file(view: &View<'_>) -> PathBuf {
    let plain = |next: char| if next.is_alphanumeric() || "-_.".contains(next) { next } else { '_' };
    let Manifest { file, scenario, .. } = &view.study.manifest;
    let name = if file.is_empty() { &format!("{scenario}.toml") } else { file };
    name.chars().map(plain).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far_ones(values: &[f64]) -> Vec<usize> {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        scores(&values).into_iter().map(|it| it.0).collect()
    }

    #[test]
    fn one_value_far_from_the_others_is_found_however_far_it_is() {
        assert_eq!(far_ones(&[2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]), [8, 9]);
        assert_eq!(far_ones(&[2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 2.2, 1e9]), [9]);
        assert!(far_ones(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).is_empty());
    }

    #[test]
    fn one_that_differs_where_all_others_are_the_same_is_found() {
        let mut values = [5.0; 20];
        assert!(far_ones(&values).is_empty());
        values[7] = 6.0;
        assert_eq!(far_ones(&values), [7]);
        assert!(far_ones(&values[..7]).is_empty(), "too few");
    }
}
