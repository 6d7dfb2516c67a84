//! What was run: the scenario, the points and by what each differs from the baseline, seeds and build.

use maud::{Markup, html};

use super::Section;
use super::number::{counted, grouped};
use super::pieces::{head, table};
use super::view::View;

/// Points that are shown at once; others are folded.
const OPEN: usize = 16;

pub(super) fn section(view: &View<'_>) -> Section {
    let manifest = &view.study.manifest;
    let last = manifest.first_seed.saturating_add(manifest.seeds.saturating_sub(1));
    let runs = view.study.runs.rows.len();
    let body = html! {
        dl {
            dt { "Scenario" } dd { (manifest.scenario) }
            dt { "Design" }
            dd {
                (counted(view.points(), "point", "points")) " × " (counted(manifest.seeds as usize, "seed", "seeds"))
                @if manifest.shard.is_some() { ", of which these are " (counted(runs, "run", "runs")) } @else { " = " (counted(runs, "run", "runs")) }
                @if view.points() > 1 && manifest.shard.is_none() { "; every point has the same seeds (common random numbers)" }
            }
            dt { "Seeds" } dd { (manifest.first_seed) @if last > manifest.first_seed { " to " (last) } }
            @if let Some(shard) = &manifest.shard { dt { "Shard" } dd { (shard) ": these are not all runs of the sweep" } }
            @if !manifest.sets.is_empty() {
                dt { "Changed everywhere" } dd { @for set in &manifest.sets { code { (set) } " " } }
            }
            dt { "Failed" } dd { @if manifest.failed == 0 { "none" } @else { a href="#outliers" { (grouped(manifest.failed as f64, 0)) " of " (grouped(runs as f64, 0)) } } }
            dt { "Currency" } dd { (view.currency()) }
            dt { "Build" } dd { code { (manifest.build) } }
        }
        @if view.points() > 1 { (points(view)) }
    };
    Section { id: "setup", title: "Setup", body }
}

fn points(view: &View<'_>) -> Markup {
    let manifest = &view.study.manifest;
    let mut columns: Vec<(&str, bool)> = vec![("Point", true)];
    columns.extend(manifest.paths.iter().map(|path| (path.as_str(), false)));
    columns.extend([("Runs", true), ("Failed", true), ("Hash of the setting", false)]);
    let base = &manifest.points[view.baseline];
    let row = |point: usize| {
        let of = &manifest.points[point];
        let failed = view.rows[point].iter().filter(|row| !row.passed).count();
        html! {
            tr.baseline[point == view.baseline] {
                th.n scope="row" { (point) @if point == view.baseline { " (baseline)" } }
                @for (value, at_base) in of.values.iter().zip(&base.values) {
                    td.differs[value != at_base] { code { (value) } }
                }
                td.n { (view.rows[point].len()) }
                td.n { @if failed > 0 { span.bad { "✗ " (failed) } } @else { "0" } }
                td { code { (of.variant) } }
            }
        }
    };
    let rows = |from: usize, to: usize| {
        let caption = "Points; in bold what differs from the baseline";
        table(caption, head(&columns), html! { tbody { @for point in from..to { (row(point)) } } })
    };
    let shown = view.points().min(OPEN);
    html! {
        (rows(0, shown))
        @if view.points() > shown {
            details { summary { (view.points() - shown) " more points" } (rows(shown, view.points())) }
        }
    }
}
