use std::num::NonZero;
use std::ops::Range;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use labman_sim::crew;
use labman_sim::fuzz::{Found, Profile, Search, plan, run_seed};
use labman_sim::run::Options;
use serde_json::json;

use super::{Outcome, print, quoted, verdict};

/// Failing seeds that are shown with their last events.
const SHOWN: usize = 3;
const LAST_EVENTS: usize = 30;
/// Two years, in minutes.
const MOST_MINUTES: f64 = 1e6;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Which seeds, as `A..B`: A is the first, B is left out. Default: 0..200, or with --minutes as many as fit
    #[arg(long, value_parser = parse_seeds)]
    seeds: Option<Range<u64>>,
    /// Begin no further seed after so long
    #[arg(long, value_parser = parse_minutes)]
    minutes: Option<f64>,
    /// What the worlds are to try
    #[arg(long, value_enum, default_value_t = Profile::Everything)]
    profile: Profile,
    /// Labman nodes in each world; default: 25, or 12 in the profile `money`
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=1000))]
    nodes: Option<u16>,
    /// Threads; default: all processors
    #[arg(short)]
    jobs: Option<NonZero<usize>>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Run nothing: print the scenario that the first seed stands for, to be run with `run FILE --seed SEED`
    #[arg(long, conflicts_with_all = ["json", "minutes"])]
    plan: bool,
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse::<f64>().ok().filter(|minutes| *minutes > 0.0 && *minutes <= MOST_MINUTES);
    minutes.ok_or_else(|| format!("write a number of minutes above 0, at most {MOST_MINUTES}"))
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
    range.filter(|range| range.start < range.end).ok_or_else(|| "write A..B, with A below B".into())
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let nodes = self.nodes.unwrap_or(self.profile.nodes());
        let profile = self.profile;
        if self.plan {
            let first = self.seeds.map_or(0, |seeds| seeds.start);
            print(&plan(profile, first, usize::from(nodes)).to_toml()?);
            return Ok(verdict(true));
        }
        let begun = Instant::now();
        let until = self.minutes.map(|minutes| begun + Duration::from_secs_f64(minutes * 60.0));
        let seeds = self.seeds.clone().unwrap_or(if until.is_some() { 0..u64::MAX } else { 0..200 });
        let search = Search {
            seeds,
            profile,
            nodes: usize::from(nodes),
            threads: self.jobs.unwrap_or_else(crew::cores).get(),
            until,
        };
        let bar = progress(search.seeds.end.checked_sub(search.seeds.start).filter(|_| until.is_none()));
        let found = search.run(&|report| {
            bar.inc(1);
            let hours = bar.position() as f64 * report.virtual_time.as_millis() as f64 / 3.6e6;
            bar.set_message(format!("{hours:.0} virtual hours"));
        });
        bar.finish_and_clear();
        let wall_seconds = begun.elapsed().as_secs_f64();
        for seed in found.failures.keys().take(SHOWN) {
            show(profile, *seed, search.nodes);
        }
        print(&if self.json { document(&found, wall_seconds) } else { page(&found, wall_seconds) });
        for (seed, failures) in &found.failures {
            let again = line(profile, *seed, nodes);
            eprintln!("failed; again: {again}");
            if let Some(job) = failures.iter().find_map(|failure| job_in(failure)) {
                eprintln!("  its way: {}", trace_line(profile, *seed, nodes, job));
            }
        }
        let never = found.never_fired(profile);
        if !never.is_empty() {
            eprintln!("failed: this never happened, so run more seeds: {}", never.join(", "));
        }
        Ok(verdict(found.failures.is_empty() && never.is_empty()))
    }
}

fn progress(seeds: Option<u64>) -> ProgressBar {
    let (bar, template) = match seeds {
        Some(seeds) => (ProgressBar::new(seeds), "{bar:30} {pos}/{len} seeds, {per_sec}, {msg}, {eta} left"),
        None => (ProgressBar::no_length(), "{spinner} {pos} seeds, {per_sec}, {msg}, {elapsed}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Runs a failing seed once more, to say what led there.
fn show(profile: Profile, seed: u64, nodes: usize) {
    let report = run_seed(profile, seed, nodes, Options { log: true, ..Options::default() });
    eprintln!("seed {seed}:");
    let at = report.log.iter().position(|line| line.contains("FAIL")).unwrap_or(report.log.len());
    for line in &report.log[at.saturating_sub(LAST_EVENTS)..report.log.len().min(at + 1)] {
        eprintln!("    {line}");
    }
    for failure in &report.failures {
        eprintln!("  {failure}");
    }
}

/// The job that a failure names.
fn job_in(failure: &str) -> Option<&str> {
    let (_, rest) = failure.split_once("job ")?;
    rest.split_whitespace().next().map(|name| name.trim_end_matches([':', ',']))
}

/// What shows a job's way in that world. The run fails, so what follows it must not depend on it.
fn trace_line(profile: Profile, seed: u64, nodes: u16, job: &str) -> String {
    let (job, again) = (quoted(job), line(profile, seed, nodes));
    format!(
        "{again} --plan > s.toml && labman-sim run s.toml --seed {seed} \
         --trace s.jsonl; labman-sim trace s.jsonl --job {job}"
    )
}

/// What runs one seed.
fn line(profile: Profile, seed: u64, nodes: u16) -> String {
    let profile = if profile == Profile::Money { " --profile money" } else { "" };
    format!("labman-sim fuzz{profile} --seeds {seed}..{} --nodes {nodes}", seed + 1)
}

fn document(found: &Found, wall_seconds: f64) -> String {
    json!({
        "failures": found.failures.len(),
        "failed_seeds": found.failures,
        "seeds": found.seeds,
        "wall_seconds": wall_seconds,
        "virtual_hours": hours(found),
        "events": found.events,
        "faults": found.marks.faults,
        "sometimes": found.marks.sometimes,
        "threats": found.marks.threats,
    })
    .to_string()
}

fn page(found: &Found, wall_seconds: f64) -> String {
    let table = |title: &str, rows: &std::collections::BTreeMap<String, u64>| {
        let lines: Vec<String> = rows.iter().map(|(name, times)| format!("  {times:>10}  {name}")).collect();
        format!("{title}\n{}\n", lines.join("\n"))
    };
    format!(
        "{}{}{}{} seeds, {} failed; {:.0} virtual hours and {} events in {wall_seconds:.0} s",
        table("faults that bit", &found.marks.faults),
        table("what happened sometimes", &found.marks.sometimes),
        table("what was tried with money", &found.marks.threats),
        found.seeds,
        found.failures.len(),
        hours(found),
        found.events,
    )
}

fn hours(found: &Found) -> f64 {
    found.virtual_time.as_millis() as f64 / 3.6e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_a_finite_number_above_zero() {
        assert_eq!(parse_minutes("0.5"), Ok(0.5));
        for wrong in ["NaN", "-1", "0", "inf", "1e9", "soon"] {
            assert!(parse_minutes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_failure_that_names_a_job_leads_to_the_line_that_traces_it() {
        assert_eq!(job_in("job chat-3: the stream had no [DONE]"), Some("chat-3"));
        assert_eq!(job_in("job chat-3 was never answered"), Some("chat-3"));
        assert_eq!(job_in("portal at 12 ms: panicked: x"), None);
        let line = trace_line(Profile::Everything, 7, 25, "chat-3");
        assert!(line.contains("--seeds 7..8 --nodes 25 --plan > s.toml"), "{line}");
        assert!(line.ends_with("labman-sim trace s.jsonl --job chat-3"), "{line}");
    }
}
