//! What the scenario expects and what theory says, held against the table of runs.

use maud::{Markup, html};

use super::number::counted;
use super::pieces::{head, held, table};
use super::view::{Figure, View};
use crate::oracle::Oracle;
use crate::scenario::set::{Document, Set};
use crate::scenario::{Expect, Scenario};

/// Rows of one table.
const MOST: usize = 24;

/// An expectation over all runs it is for.
struct Expected {
    what: String,
    points: String,
    runs: usize,
    held: usize,
    /// Least and most.
    found: Option<(f64, f64)>,
}

pub(super) struct Verdicts {
    expected: Vec<Expected>,
    oracles: Vec<(usize, Oracle)>,
}

impl Verdicts {
    pub(super) fn new(view: &View<'_>) -> Self {
        let manifest = &view.study.manifest;
        let touches =
            |path: &str| ["expect", "oracle", "variant"].iter().any(|table| path.starts_with(table));
        let set = |set: &String| set.parse::<Set>().is_ok_and(|set| touches(set.path()));
        let own = manifest.paths.iter().any(|path| touches(path)) || manifest.sets.iter().any(set);
        if !own {
            let all: Vec<usize> = (0..view.points()).collect();
            let expected =
                manifest.expects.iter().map(|it| Expected::new(view, it, &all, "all".into())).collect();
            let oracles = all.iter().flat_map(|point| manifest.oracles.iter().map(|it| (*point, it.clone())));
            return Self { expected, oracles: oracles.collect() };
        }
        // What is expected is itself varied: each point has its own.
        let (mut expected, mut oracles) = (Vec::new(), Vec::new());
        for point in 0..view.points() {
            let Some(scenario) = scenario(view, point) else { continue };
            let label = || view.labels.points[point].clone();
            expected.extend(scenario.expects.iter().map(|it| Expected::new(view, it, &[point], label())));
            oracles.extend(scenario.oracles.into_iter().map(|oracle| (point, oracle)));
        }
        Self { expected, oracles }
    }

    pub(super) fn markup(&self, view: &View<'_>) -> Markup {
        html! {
            @if !self.expected.is_empty() { (expectations(&self.expected)) }
            @if !self.oracles.is_empty() { (theory(view, &self.oracles)) }
        }
    }

    /// In a sentence.
    pub(super) fn summary(&self, view: &View<'_>) -> Markup {
        let failed = view.study.runs.rows.iter().filter(|row| !row.passed).count();
        let runs = view.study.runs.rows.len();
        let broken = self.expected.iter().filter(|it| it.held < it.runs).count();
        html! {
            @if failed == 0 && broken == 0 {
                span.good { "✓ " (counted(runs, "run", "runs")) " passed" }
                ": every check of the mesh, every expectation and every bound set by theory held in each."
            } @else {
                span.bad { "✗ " (failed) " of " (counted(runs, "run", "runs")) " failed" }
                ": "
                @if broken > 0 { (broken) " of " (counted(self.expected.len(), "expectation", "expectations")) " did not hold everywhere; " }
                a href="#outliers" { "what failed, and how to run it again" }
                "."
            }
        }
    }
}

impl Expected {
    fn new(view: &View<'_>, expect: &Expect, points: &[usize], of: String) -> Self {
        let figure = view.figure(&expect.field);
        let values =
            |figure: &Figure| -> Vec<f64> { points.iter().flat_map(|at| figure.known(*at)).collect() };
        let values = figure.map(values).unwrap_or_default();
        // Figures are whole numbers; the table has them as floats.
        let holds = |value: &&f64| expect.op.holds(value.round() as i64, expect.value);
        Self {
            what: format!("{} {} {}", expect.field, expect.op.sign(), expect.value),
            points: of,
            runs: points.iter().map(|at| view.rows[*at].len()).sum(),
            held: values.iter().filter(holds).count(),
            found: values.iter().copied().reduce(f64::min).zip(values.iter().copied().reduce(f64::max)),
        }
    }
}

fn scenario(view: &View<'_>, point: usize) -> Option<Scenario> {
    let manifest = &view.study.manifest;
    let document = Document::new("the scenario".into(), manifest.text.clone()).ok()?;
    Some(document.with(&super::outliers::sets(view, point)).ok()?.scenario)
}

fn expectations(expected: &[Expected]) -> Markup {
    let by_point = expected.iter().any(|it| it.points != "all");
    let mut columns = vec![("Expectation", false)];
    if by_point {
        columns.push(("Point", false));
    }
    columns.extend([("Held in", true), ("Least", true), ("Most", true), ("", false)]);
    let row = |it: &Expected| {
        html! {
            tr {
                th scope="row" { code { (it.what) } }
                @if by_point { td { (it.points) } }
                td.n { (it.held) " of " (counted(it.runs, "run", "runs")) }
                @match it.found {
                    Some((least, most)) => { td.n { (super::number::grouped(least, 0)) } td.n { (super::number::grouped(most, 0)) } }
                    None => { td.n { "–" } td.n { "–" } }
                }
                td { (held(it.held == it.runs)) }
            }
        }
    };
    // Those that did not hold first.
    let (good, bad): (Vec<&Expected>, Vec<&Expected>) = expected.iter().partition(|it| it.held == it.runs);
    let rows: Vec<&Expected> = bad.into_iter().chain(good).collect();
    html! {
        h3 { "What the scenario expects" }
        (table("Expectations over all runs, in the units of the table of runs", head(&columns), html! {
            tbody { @for it in rows.iter().take(MOST) { (row(it)) } }
        }))
        @if rows.len() > MOST { p.note { (rows.len() - MOST) " more held or are like these." } }
    }
}

fn theory(view: &View<'_>, oracles: &[(usize, Oracle)]) -> Markup {
    let several = view.points() > 1;
    let mut columns = vec![("Figure", false)];
    if several {
        columns.push(("Point", false));
    }
    columns.extend([
        ("Theory", true),
        ("Mean of runs", true),
        ("95 % interval", true),
        ("Off by", true),
        ("May be", true),
    ]);
    columns.push(("Runs that failed by it", true));
    let row = |(point, oracle): &(usize, Oracle)| {
        let figure = view.figure(&oracle.field)?;
        let estimate = figure.summaries[*point]?.estimate;
        let wanted = oracle.formula.value();
        let mentions = |error: &str| error.contains(&oracle.field);
        let failed = view.rows[*point].iter().filter(|row| mentions(&row.error)).count();
        Some(html! {
            tr {
                th scope="row" { code { (oracle.field) } ", " (oracle.formula.name()) }
                @if several { td { (view.labels.points[*point]) } }
                td.n { (figure.format.full(wanted)) }
                td.n { (figure.format.full(estimate.mean)) }
                td.n { @match estimate.interval { Some(it) => (figure.format.interval(it)), None => "–" } }
                td.n { @if wanted != 0.0 { (super::number::change(estimate.mean / wanted - 1.0)) } @else { "–" } }
                td.n { @match oracle.within_percent { Some(within) => { "±" (within) " %" }, None => "is told only" } }
                td.n { @if failed == 0 { span.good { "✓ none" } } @else { span.bad { "✗ " (failed) } } }
            }
        })
    };
    html! {
        h3 { "What theory says" }
        (table("Closed forms beside the mean over seeds", head(&columns), html! {
            tbody { @for it in oracles.iter().filter_map(row).take(MOST) { (it) } }
        }))
        p.note {
            "Each run is judged by itself, by its own estimate: where a run's jobs can be held beside those of the book's queue, job by job, that is "
            "surer than the plain mean shown here."
        }
    }
}
