use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::iter;
use std::num::NonZero;
use std::path::PathBuf;

use labman_sim::crew;
use labman_sim::oracle::Baseline;
use labman_sim::oracle::baselines::Baselines;
use labman_sim::oracle::beside::{Beside, Bounds};
use labman_sim::oracle::equivalence::Judged;
use labman_sim::run::{Options, Passed};
use labman_sim::scenario::Scenario;
use labman_sim::scenario::set::{BASE, Document, Set};
use labman_sim::sweep::{MOST_RUNS, run_or_panic};
use serde_json::{Value, json};

use super::progress::Progress;
use super::{Outcome, again, how_many, print, scenario_files, verdict};

/// Seeds of each, where nothing else is said.
const SEEDS: u32 = 30;
const FEW_SEEDS: u32 = 3;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Scenario files, or directories of them
    #[arg(default_value = "scenarios/research")]
    files: Vec<PathBuf>,
    /// How many seeds each scenario and variant gets [default: 30, with --quick 3]
    #[arg(long, value_parser = how_many)]
    seeds: Option<NonZero<u32>>,
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Few seeds, and as near as a scenario asks of a single run: not by equivalence
    #[arg(long)]
    quick: bool,
    /// How many runs at a time [default: as many as there are cores]
    #[arg(short, long)]
    jobs: Option<NonZero<usize>>,
    /// Print one JSON document, on one line
    #[arg(long)]
    json: bool,
}

/// A scenario as one of its variants has it.
struct Case {
    file: PathBuf,
    variant: String,
    sets: Vec<Set>,
    scenario: Scenario,
    document: Document,
}

/// What is kept of a run.
struct Ran {
    case: usize,
    seed: u64,
    besides: Vec<Beside>,
    /// What else than an oracle it failed at.
    wrong: Option<String>,
}

/// What came of a case.
struct Found<'a> {
    case: &'a Case,
    oracles: Vec<Judged>,
    wrong: Vec<(u64, &'a str)>,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { files, seeds, first_seed, quick, jobs, json } = self;
        let seeds = seeds.map_or(if quick { FEW_SEEDS } else { SEEDS }, NonZero::get) as usize;
        first_seed.checked_add(seeds as u64).ok_or("--first-seed: seeds end before that")?;
        let cases = cases(&files)?;
        let baselines: Vec<Baselines> = cases
            .iter()
            .map(|case| Baselines::new(&case.document, &case.sets, &case.scenario))
            .collect::<Result<_, String>>()?;
        let many = cases.len().saturating_mul(seeds);
        if many as u64 > MOST_RUNS {
            return Err(format!("{many} runs, at most {MOST_RUNS}: fewer --seeds"));
        }
        let progress = Progress::of_sweep(many as u64, (0, 0));
        let one = |index: usize| {
            let (case, seed) = (index / seeds, first_seed + (index % seeds) as u64);
            ran(case, seed, &cases[case].scenario, &baselines[case], &progress.passed)
        };
        let tick = |ran: &Ran| progress.step(ran.wrong.is_none());
        let ran = progress.watch(|| crew::all(many, jobs.unwrap_or_else(crew::cores), one, tick));
        let found: Vec<Found<'_>> =
            cases.iter().enumerate().map(|(index, case)| Found::of(case, index, &ran, quick)).collect();
        let holds = found.iter().all(Found::holds);
        print(&if json { to_json(&found, holds).to_string() } else { to_table(&found) });
        for found in &found {
            for (seed, wrong) in found.wrong.iter().take(1) {
                let again = again(&found.case.file, *seed, &found.case.sets);
                eprintln!("failed: {}: {wrong}\n    {again}", found.case.name());
            }
        }
        Ok(verdict(holds))
    }
}

fn cases(files: &[PathBuf]) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for file in scenario_files(files)? {
        let document = Document::read(&file)?;
        let scenario = document.with(&[])?.scenario;
        // What has no answer in a book is for a sweep, and so is what is told only, unless something is expected beside.
        let judged = scenario.oracles.iter().any(|oracle| oracle.within_percent.is_some())
            || scenario.baselines.iter().any(Baseline::binds)
            || !scenario.oracles.is_empty() && !scenario.expects.is_empty();
        if !judged {
            continue;
        }
        for (variant, changed) in document.variants(&[])? {
            let sets = Vec::from_iter((variant != BASE).then(|| Set::variant(&variant)));
            let (file, document) = (file.clone(), document.clone());
            cases.push(Case { file, variant, sets, scenario: changed.scenario, document });
        }
    }
    match cases.is_empty() {
        true => Err("none of these scenarios has an [[oracle]] or a [[baseline]] with bounds".into()),
        false => Ok(cases),
    }
}

fn ran(case: usize, seed: u64, scenario: &Scenario, baselines: &Baselines, passed: &Passed) -> Ran {
    let part = passed.begin();
    let options = Options { passed: Some(&part), ..Options::default() };
    let report = match run_or_panic(scenario, baselines, seed, options) {
        Ok(report) => report,
        Err(panic) => return Ran { case, seed, besides: Vec::new(), wrong: Some(format!("panic: {panic}")) },
    };
    // A single run may be further off than many are together.
    let of_oracles: BTreeSet<String> = report.oracles.iter().filter_map(Beside::failure).collect();
    let wrong = report.failures.into_iter().find(|failure| !of_oracles.contains(failure));
    Ran { case, seed, besides: report.oracles, wrong }
}

impl Case {
    fn name(&self) -> String {
        format!("{} {}", self.scenario.name, self.variant)
    }
}

impl<'a> Found<'a> {
    fn of(case: &'a Case, index: usize, ran: &'a [Ran], quick: bool) -> Self {
        let runs: Vec<&Ran> = ran.iter().filter(|ran| ran.case == index).collect();
        let formulas = case.scenario.oracles.len();
        let many = runs.iter().map(|ran| ran.besides.len()).max().unwrap_or_default();
        let judged = |at: usize| {
            let besides: Vec<&Beside> = runs.iter().filter_map(|ran| ran.besides.get(at)).collect();
            let own = besides.first().map(|beside| Bounds { half_width: None, ..beside.bounds });
            let bounds = if quick || at >= formulas { own } else { Some(Judged::equivalence()) };
            Judged::of(&besides, bounds)
        };
        let wrong = runs.iter().filter_map(|ran| Some((ran.seed, ran.wrong.as_deref()?))).collect();
        Self { case, oracles: (0..many).filter_map(judged).collect(), wrong }
    }

    fn holds(&self) -> bool {
        self.wrong.is_empty() && self.oracles.iter().all(|oracle| oracle.holds != Some(false))
    }
}

fn to_json(found: &[Found<'_>], holds: bool) -> Value {
    let scenario = |found: &Found<'_>| {
        // Formulas come first, then baselines, which have none.
        let formulas = found.case.scenario.oracles.iter().map(|oracle| json!(oracle.formula));
        let oracle = |(judged, formula): (&Judged, Value)| {
            let mut oracle = json!(judged);
            oracle["formula"] = formula;
            oracle
        };
        let oracles = found.oracles.iter().zip(formulas.chain(iter::repeat(Value::Null))).map(oracle);
        json!({
            "scenario": found.case.scenario.name,
            "file": found.case.file.display().to_string(),
            "variant": found.case.variant,
            "oracles": oracles.collect::<Vec<_>>(),
            "expectations": found.case.scenario.expects.len(),
            "failed_runs": found.wrong.iter().map(|(seed, wrong)| json!({ "seed": seed, "failure": wrong })).collect::<Vec<_>>(),
            "holds": found.holds(),
        })
    };
    json!({ "holds": holds, "scenarios": found.iter().map(scenario).collect::<Vec<_>>() })
}

fn to_table(found: &[Found<'_>]) -> String {
    let mut page = String::new();
    for found in found {
        let verdict = if found.holds() { "holds" } else { "FAILS" };
        let _ = writeln!(page, "{:<40} {verdict}", found.case.name());
        for Judged {
            field,
            by,
            expected,
            mean,
            measured,
            book,
            off_percent,
            half_width_percent,
            holds,
            why,
            ..
        } in &found.oracles
        {
            let known = half_width_percent.map_or_else(String::new, |half| format!(" ±{half:.2} %"));
            let same =
                |book: &f64| format!(" ({measured:.0} where the same jobs have {book:.0} in the book)");
            let same = book.as_ref().map_or_else(String::new, same);
            let verdict = match holds {
                Some(true) => "holds",
                Some(false) => "FAILS",
                None => "told",
            };
            let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            let _ = writeln!(
                page,
                "  {verdict}  {field} {mean:.0}{known}{same}; {by}: {expected:.0}, {off_percent:+.2} %{why}"
            );
        }
        if !found.wrong.is_empty() {
            let _ = writeln!(page, "  FAILS  in {} runs something else than an oracle", found.wrong.len());
        }
    }
    page.pop();
    page
}
