//! Studies that nobody ran, with all that a page must be able to show: for the page's tests, and to be looked at
//! (`examples/made_up_page.rs`).

use labman_proto_core::rng::{Seed, Stream};
use labman_sim::results::{Income, Manifest, PointOf, Row, Sheet, Study, Tick, Wait};

/// What of a world is set: everything below follows from it and a seed.
struct World {
    /// Hundredths of a percent.
    fees: f64,
    slots: f64,
    policy: f64,
    every_ms: f64,
}

const TEXT: &str = r#"# Do higher fees drive users away, and who pays for it?
#
# Assumptions: two dozen providers with the same hardware, users who ask at random and do not look elsewhere, fees that go half to
# the FEP and half to gateways.
# Expected: users are charged more by what the fees are, providers earn the same, and nobody waits longer.
# Source: made up; no such run was ever made.

name = "made-up"
duration = "1h"

[[expect]]
field = "jobs.failed"
op = "<="
value = 20
"#;

const FIGURES: [&str; 19] = [
    "jobs.total",
    "jobs.completed",
    "jobs.refused",
    "jobs.failed",
    "jobs.goodput_permille",
    "jobs.status_400",
    "money.charged",
    "money.earned",
    "income.gini_ppm",
    "ttft.p50_ms",
    "ttft.p95_ms",
    "ttft.mean_us",
    "sojourn.p99_us",
    "sojourn.mean_us",
    "market.hit_ppm",
    "settled",
    "events",
    "ledger_balanced",
    "balance.fep:fees",
];

/// Three points by one setting, with a failed run, a panic and one far from the others.
pub(crate) fn fees() -> Study {
    let points = ["0", "100", "500"].map(|fees| vec![fees.to_owned()]);
    let mut study = study(&["fep.fees.fep_bps"], &points, 30);
    let row = &mut study.runs.rows[35];
    (row.passed, row.error) = (false, "expected jobs.failed <= 20, found 61".into());
    row.figures[3] = Some(61.0);
    let row = &mut study.runs.rows[71];
    row.figures.iter_mut().for_each(|figure| *figure = None);
    (row.passed, row.error, row.trace_hash) = (false, "panic: index out of bounds".into(), String::new());
    study.runs.rows[12].figures[13] = Some(9_400_000.0);
    study.manifest.failed = 2;
    study
}

/// One point.
pub(crate) fn alone() -> Study {
    study(&[], &[Vec::new()], 30)
}

/// Four by five.
pub(crate) fn map() -> Study {
    let fees = ["0", "100", "300", "500"];
    let points: Vec<Vec<String>> = fees
        .iter()
        .flat_map(|fees| [1, 2, 4, 8, 16].map(|slots| vec![(*fees).to_owned(), slots.to_string()]))
        .collect();
    study(&["fep.fees.fep_bps", "provider.0.portman.0.slots"], &points, 12)
}

/// A Latin hypercube of four settings, one of which is a name.
pub(crate) fn latin() -> Study {
    let mut draw = Seed::from_u64(9).stream("latin");
    let mut column = |count: u64| {
        let mut order: Vec<u64> = (0..count).collect();
        (1..count).rev().for_each(|at| order.swap(at as usize, draw.below(at + 1) as usize));
        order
    };
    let (fees, slots, every, policy) = (column(40), column(40), column(40), column(40));
    let point = |at: usize| {
        vec![
            (fees[at] * 12).to_string(),
            (1 + slots[at] * 15 / 39).to_string(),
            format!("{}ms", 500 + every[at] * 60),
            ["balanced", "two-choices"][policy[at] as usize % 2].to_owned(),
        ]
    };
    let points: Vec<Vec<String>> = (0..40).map(point).collect();
    let paths =
        ["fep.fees.fep_bps", "provider.0.portman.0.slots", "arrivals.0.every", "gateway.0.routing.policy"];
    study(&paths, &points, 5)
}

fn study(paths: &[&str], points: &[Vec<String>], seeds: u32) -> Study {
    let scenario = labman_sim::scenario::Expect {
        field: "jobs.failed".into(),
        op: labman_sim::scenario::Comparison::AtMost,
        value: 20,
    };
    let variant = |at: usize| format!("{:016x}", 0x5eed_0000_u64 + at as u64);
    let named = points
        .iter()
        .enumerate()
        .map(|(at, values)| PointOf { values: values.clone(), variant: variant(at) });
    let manifest = Manifest {
        format: 1,
        scenario: "made-up".into(),
        text: TEXT.into(),
        sets: vec!["latency.mesh={ constant = \"20ms\" }".into()],
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        points: named.collect(),
        first_seed: 1,
        seeds: seeds.into(),
        build: "0.1.0+00c0ffee".into(),
        currency: "XTS".into(),
        runs: u64::from(seeds) * points.len() as u64,
        expects: vec![scenario],
        ..Manifest::default()
    };
    let mut study = Study {
        manifest,
        runs: Sheet {
            file: "runs.csv".into(),
            grid: paths.iter().map(|path| (*path).to_owned()).collect(),
            figures: FIGURES.map(str::to_owned).to_vec(),
            rows: Vec::new(),
            build: "0.1.0+00c0ffee".into(),
        },
        ticks: Vec::new(),
        incomes: Vec::new(),
        waits: Vec::new(),
    };
    for (point, values) in points.iter().enumerate() {
        for run in 0..seeds {
            add(&mut study, &world(paths, values), point as u32, run, values);
        }
    }
    study
}

fn world(paths: &[&str], values: &[String]) -> World {
    let mut world = World { fees: 0.0, slots: 4.0, policy: 0.0, every_ms: 1_500.0 };
    for (path, value) in paths.iter().zip(values) {
        let number = || value.trim_end_matches("ms").parse().unwrap_or_default();
        match path.rsplit('.').next() {
            Some("fep_bps") => world.fees = number(),
            Some("slots") => world.slots = number(),
            Some("every") => world.every_ms = number(),
            _ => world.policy = f64::from(u8::from(value == "two-choices")),
        }
    }
    world
}

/// From 0 to 1.
fn unit(draw: &mut Stream) -> f64 {
    draw.below(1 << 53) as f64 / (1_u64 << 53) as f64
}

/// About normal, by twelve.
fn normal(draw: &mut Stream) -> f64 {
    (0..12).map(|_| unit(draw)).sum::<f64>() - 6.0
}

fn add(study: &mut Study, world: &World, point: u32, run: u32, values: &[String]) {
    // The same luck at every point.
    let draw = &mut Seed::from_u64(run.into()).stream("run");
    let luck = normal(draw);
    let asked = (3_600_000.0 / world.every_ms + 40.0 * luck).round();
    let busy = 2.4 * 1_500.0 / world.every_ms / world.slots;
    let wait = 350.0 * (1.0 + busy * busy * (1.2 - 0.5 * world.policy)) * (1.0 + 0.06 * luck);
    let failed = (3.0 + 2.0 * unit(draw) + 6.0 * busy).floor();
    let refused = (10.0 * busy * (1.0 + 0.2 * normal(draw)).max(0.0)).round();
    let completed = asked - failed - refused;
    let earned = (completed * 4_100.0 * (1.0 + 0.01 * normal(draw))).round();
    let charged = (earned / (1.0 - 2.0 * world.fees / 10_000.0)).round();
    let gini = incomes(study, draw, world, point, run, completed, earned);
    let noise = 1.0 + 0.03 * normal(draw);
    let figures = [
        asked,
        completed,
        refused,
        failed,
        (completed / asked * 1_000.0).floor(),
        0.0,
        charged,
        earned,
        gini,
        (wait * 0.6).floor(),
        (wait * 2.2 * noise).floor(),
        (wait * 700.0).floor(),
        (wait * 9_000.0 * noise).floor(),
        (wait * 2_900.0).floor(),
        (910_000.0 - 120_000.0 * busy + 4_000.0 * normal(draw)).floor(),
        1.0,
        (asked * 812.0).floor(),
        1.0,
        (charged - earned).floor(),
    ];
    ticks(study, draw, point, run, [asked, wait, charged, failed]);
    waits(study, point, run, wait);
    study.runs.rows.push(Row {
        line: study.runs.rows.len() as u64 + 2,
        point,
        run,
        variant: study.manifest.points[point as usize].variant.clone(),
        values: values.to_vec(),
        seed: 1 + u64::from(run),
        trace_hash: format!("{:032x}", u128::from(point) * 1_000 + u128::from(run)),
        passed: true,
        error: String::new(),
        figures: figures.into_iter().map(Some).collect(),
    });
}

/// Two dozen providers, of whom some are much better known; their Gini coefficient, in millionths.
fn incomes(
    study: &mut Study,
    draw: &mut Stream,
    world: &World,
    point: u32,
    run: u32,
    jobs: f64,
    earned: f64,
) -> f64 {
    let known: Vec<f64> = (0..24)
        .map(|at| (1.0 / f64::from(at + 2)).powf(0.9 - 0.6 * world.policy) * (0.6 + unit(draw)))
        .collect();
    let all: f64 = known.iter().sum();
    for (at, part) in known.iter().enumerate() {
        study.incomes.push(Income {
            point,
            run,
            provider: format!("harbour-{}", at + 1),
            jobs: (jobs * part / all).round() as i64,
            earned: (earned * part / all).round() as i64,
        });
    }
    let apart: f64 = known.iter().flat_map(|a| known.iter().map(move |b| (a - b).abs())).sum();
    (apart / (2.0 * 24.0 * all) * 1e6).round()
}

/// As long as chance alone makes it: exponentially, the last byte ten times as late.
fn waits(study: &mut Study, point: u32, run: u32, mean_ms: f64) {
    for (until, times) in [("ttft", 1.0), ("sojourn", 10.0)] {
        for permille in (0..100).map(|percent| percent * 10).chain([995, 999, 1_000]) {
            let beyond = 1.0 - f64::from(permille) / 1_001.0;
            let us = (-beyond.ln() * times * mean_ms * 1_000.0).round() as i64;
            study.waits.push(Wait { point, run, until: until.into(), permille, us });
        }
    }
}

/// An hour with a busy middle, every minute.
fn ticks(
    study: &mut Study,
    draw: &mut Stream,
    point: u32,
    run: u32,
    [asked, wait, charged, failed]: [f64; 4],
) {
    let mut sum = 0.0;
    for minute in 1..=60 {
        let rush = 1.0 + 0.8 * (-((f64::from(minute) - 32.0) / 9.0).powi(2)).exp();
        let jobs = (asked / 75.0 * rush * (1.0 + 0.12 * normal(draw))).round().max(0.0);
        sum += charged * jobs / asked;
        let series = [
            ("jobs.asked", jobs),
            ("jobs.failed", (failed / 60.0 * rush + unit(draw) - 0.4).round().max(0.0)),
            ("jobs.refused", 0.0),
            ("jobs.under_way", (jobs * wait / 9_000.0 * rush).round()),
            ("ttft.mean_ms", wait * 0.7 * rush * (1.0 + 0.1 * normal(draw))),
            ("money.charged_so_far", sum),
        ];
        for (name, value) in series {
            study.ticks.push(Tick { point, run, at_s: f64::from(minute) * 60.0, series: name.into(), value });
        }
    }
}
