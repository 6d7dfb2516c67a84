use labman_sim::like::meant;
use labman_sim::report::definitions::{self, DEFINITIONS, Definition};
use labman_sim::report::ticks::{SERIES, Series};

use super::{Outcome, print, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Such as `ttft.p95_ms`; without it, a table of all
    metric: Option<String>,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let page = match self.metric {
            None => table(),
            Some(metric) => explain(&metric).ok_or_else(|| unknown(&metric))?,
        };
        print(&page);
        Ok(verdict(true))
    }
}

/// A figure, or a series, or both where they have one name.
fn explain(name: &str) -> Option<String> {
    let figure = definitions::of(name).map(|definition| page(name, definition));
    let series =
        SERIES.iter().find(|series| series.name == name).map(|Series { name, unit, what, .. }| {
            format!("{name}, over time in ticks.parquet\n  is        {what}\n  unit      {unit}")
        });
    let pages: Vec<String> = figure.into_iter().chain(series).collect();
    (!pages.is_empty()).then(|| pages.join("\n"))
}

fn unknown(name: &str) -> String {
    let names = DEFINITIONS.iter().map(|one| one.name).chain(SERIES.iter().map(|one| one.name));
    let all = "labman-sim explain lists all, scenarios/README.md what a scenario can hold";
    format!("there is no figure {name:?}{}", meant(name, names, all))
}

fn table() -> String {
    let figures = DEFINITIONS.iter().map(|one| (one.name, one.what, one.unit)).collect::<Vec<_>>();
    let series = SERIES.iter().map(|one| (one.name, one.what, one.unit)).collect::<Vec<_>>();
    let wide = figures.iter().chain(&series).map(|(name, ..)| name.len()).max().unwrap_or_default();
    let line = |(name, what, unit): &(&str, &str, &str)| format!("{name:<wide$}  {what} [{unit}]\n");
    let lines = |all: &[(&str, &str, &str)]| all.iter().map(line).collect::<String>();
    format!(
        "{}\nOver time, interval by interval, in ticks.parquet:\n\n{}",
        lines(&figures),
        lines(&series).trim_end()
    )
}

fn page(name: &str, definition: &Definition) -> String {
    let Definition { unit, what, measured, caveats, .. } = definition;
    let mut page = format!("{name}\n  is        {what}\n  unit      {unit}\n  measured  {measured}");
    if !caveats.is_empty() {
        page += &format!("\n  caveats   {caveats}");
    }
    page
}
