//! What the figures are, and what the page can't say.

use maud::html;

use super::Section;
use super::pieces::{head, table};
use super::unit::Unit;
use super::view::{Figure, View};
use crate::report::definitions::{self, Definition};

pub(super) fn section(view: &View<'_>) -> Section {
    let varying = view.figures.iter().filter(|figure| !figure.constant);
    let rows: Vec<(&Figure, &Definition)> =
        varying.filter_map(|figure| Some((figure, definitions::of(&figure.name)?))).collect();
    let columns = [
        ("Figure", false),
        ("In runs.csv", false),
        ("What it is", false),
        ("Where it is measured", false),
        ("What to mind", false),
    ];
    let body = html! {
        @if !rows.is_empty() {
            (table("Figures that vary", head(&columns), html! {
                tbody {
                    @for (figure, it) in &rows {
                        tr {
                            th scope="row" { code { (figure.name) } }
                            td { (kept_in(figure.unit)) }
                            td { (it.what) }
                            td { (it.measured) }
                            td { (it.caveats) }
                        }
                    }
                }
            }))
        }
        h3 { "Limits" }
        ul {
            li { "All times are virtual: those of the simulated mesh, not of the machine that ran it. What the mesh does is done by the machines that operators run; network, disks, runtimes and users are simulated." }
            li { "An interval is about the mean over seeds: with more seeds it gets narrower. It says nothing of whether the scenario is like the world." }
            li { "Runs that failed are among the figures if they came to their end; a run that panicked has none. Where runs failed, look at them before believing a mean." }
            li { "Nothing is corrected for looking at many figures: at 95 % one comparison in twenty finds a difference where there is none." }
            li { "Quantiles are interpolated linearly between the values of runs; intervals are Student’s, which supposes that the mean over seeds is about normal." }
            @if view.study.manifest.shard.is_some() { li { "These are the runs of one shard only; " code { "labman-sim merge" } " puts shards together." } }
        }
    };
    Section { id: "definitions", title: "Definitions and limits", body }
}

/// What the numbers of `runs.csv` are in; this page shows them in what suits their size.
fn kept_in(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "a count",
        Unit::Time { seconds } if seconds < 1e-4 => "µs",
        Unit::Time { seconds } if seconds < 0.1 => "ms",
        Unit::Time { .. } => "s",
        Unit::Money => "millionths of the currency",
        Unit::Share { whole } | Unit::Index { whole } if whole > 1e3 => "millionths",
        Unit::Share { .. } | Unit::Index { .. } => "thousandths",
        Unit::Bytes => "bytes",
        Unit::Flag => "1: yes, 0: no",
    }
}
