//! A comparison as a page of text: a block for each point of the grid, a line for each figure.

use std::fmt::Write as _;

use super::{Comparison, Figure, Point, Setting};
use crate::stats::{CONFIDENCE, Estimate};

const COLUMNS: usize = 6;
/// Numbers from here on are written with an exponent, and shares of a hundred with fewer digits, too.
const LARGE: f64 = 1e15;
const LARGE_PERCENT: f64 = 1e9;
/// Of a name or a grid's value.
const WIDE: usize = 60;
/// So many settings are told: of two scenarios that are not alike, there may be as many as lines.
const TOLD: usize = 20;

pub(super) fn render(comparison: &Comparison, all: bool) -> String {
    let Comparison { before, after, settings, points, notes } = comparison;
    let mut page = format!("A = {before}\nB = {after}\n");
    if let Some(settings) = settings {
        page += &set(settings);
    }
    for point in points {
        let _ = writeln!(page, "\n{}", title(point));
        let (equal, differ): (Vec<&Figure>, Vec<&Figure>) =
            point.figures.iter().partition(|figure| !all && figure.is_equal());
        let (of_users, told): (Vec<&Figure>, Vec<&Figure>) =
            differ.iter().partition(|figure| !all && figure.is_of_one_user());
        if !told.is_empty() {
            block(&mut page, &told);
        }
        let left_out = [(equal, "are the same in every pair"), (of_users, "are balances of users")];
        for (figures, why) in left_out.iter().filter(|(figures, _)| !figures.is_empty()) {
            let _ = writeln!(page, "  {} figures {why} (--all shows them)", figures.len());
        }
    }
    let percent = CONFIDENCE * 100.0;
    let _ =
        write!(page, "\n± and [] are {percent} % intervals, p is of the paired t test for each figure alone");
    for note in notes {
        let _ = write!(page, "\nnote: {note}");
    }
    page
}

/// What was set otherwise.
fn set(settings: &[Setting]) -> String {
    if settings.is_empty() {
        return "nothing is set otherwise\n".into();
    }
    // A text of several lines is one here.
    let written = |value: &toml::Value| clipped(&value.to_string().replace('\n', " "));
    let value = |of: &Option<toml::Value>| of.as_ref().map_or_else(|| "not said".into(), written);
    let mut lines = String::from("set otherwise:\n");
    for Setting { path, before, after } in settings.iter().take(TOLD) {
        let _ = writeln!(lines, "  {path}: {} in A, {} in B", value(before), value(after));
    }
    if settings.len() > TOLD {
        let _ = writeln!(lines, "  and {} more (--json has all)", settings.len() - TOLD);
    }
    lines
}

fn title(point: &Point) -> String {
    let pairs = if point.pairs == 1 { "1 pair".into() } else { format!("{} pairs", point.pairs) };
    match point.grid.as_slice() {
        [] => pairs,
        grid => {
            let grid: Vec<String> =
                grid.iter().map(|(path, value)| format!("{path} = {}", clipped(value))).collect();
            format!("{}: {pairs}", grid.join(", "))
        }
    }
}

fn block(page: &mut String, figures: &[&Figure]) {
    let header = ["", "A", "B", "B - A", "p", "change"].map(str::to_owned);
    let lines: Vec<[String; COLUMNS]> =
        std::iter::once(header).chain(figures.iter().map(|figure| line(figure))).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for line in &lines {
        let _ = write!(page, "  {:<1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(widths).skip(1) {
            let _ = write!(page, "  {cell:>width$}");
        }
        page.push('\n');
    }
}

fn line(figure: &Figure) -> [String; COLUMNS] {
    let difference = &figure.difference;
    let change = figure.relative_change().map_or_else(|| "-".into(), |share| percent(share * 100.0));
    [
        clipped(&figure.name),
        mean(&figure.before),
        mean(&figure.after),
        between(&difference.estimate),
        difference.p.map_or_else(|| "-".into(), probability),
        change,
    ]
}

fn mean(estimate: &Estimate) -> String {
    match half(estimate) {
        Some(half) => format!("{} ± {}", number(estimate.mean, estimate), number(half, estimate)),
        None => number(estimate.mean, estimate),
    }
}

fn between(estimate: &Estimate) -> String {
    let sign = if estimate.mean > 0.0 { "+" } else { "" };
    let mean = format!("{sign}{}", number(estimate.mean, estimate));
    match estimate.interval {
        Some(interval) => {
            format!("{mean} [{}, {}]", number(interval.low, estimate), number(interval.high, estimate))
        }
        None => mean,
    }
}

fn half(estimate: &Estimate) -> Option<f64> {
    estimate.interval.map(|interval| interval.half_width())
}

fn number(value: f64, estimate: &Estimate) -> String {
    match value.abs() >= LARGE {
        true => format!("{value:.4e}"),
        false => format!("{value:.0$}", decimals(estimate)),
    }
}

/// So many that the interval's half-width has three digits, or where it has no width, the mean six.
fn decimals(estimate: &Estimate) -> usize {
    let (size, digits) = match half(estimate) {
        Some(half) if half > 0.0 => (half, 2.0),
        _ if estimate.mean.fract() == 0.0 => return 0,
        _ => (estimate.mean.abs(), 5.0),
    };
    (digits - size.log10().floor()).clamp(0.0, 9.0) as usize
}

fn percent(share: f64) -> String {
    if share.abs() >= LARGE_PERCENT { format!("{share:+.4e} %") } else { format!("{share:+.2} %") }
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(WIDE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into(),
    }
}

fn probability(p: f64) -> String {
    if p < 0.0001 { "<0.0001".into() } else { format!("{p:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{difference, estimate};

    #[test]
    fn the_page_says_what_changed_by_how_much_and_how_surely() {
        let pairs = [(300.0, 310.0), (320.0, 331.0), (310.0, 322.0)];
        let (before, after): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let figure = Figure {
            name: "money.charged".into(),
            before: estimate(&before).unwrap(),
            after: estimate(&after).unwrap(),
            difference: difference(&pairs).unwrap(),
        };
        let grid = vec![("fep.fees.fep_bps".into(), "50".into())];
        let comparison = Comparison {
            before: "a.csv".into(),
            after: "b.csv".into(),
            settings: None,
            points: vec![Point { grid, pairs: 3, figures: vec![figure] }],
            notes: vec!["b.csv: 1 of 3 runs failed".into()],
        };
        let wanted = "\
A = a.csv
B = b.csv

fep.fees.fep_bps = 50: 3 pairs
                            A             B                 B - A       p   change
  money.charged  310.0 ± 24.8  321.0 ± 26.2  +11.00 [8.52, 13.48]  0.0027  +3.55 %

± and [] are 95 % intervals, p is of the paired t test for each figure alone
note: b.csv: 1 of 3 runs failed";
        assert_eq!(render(&comparison, false), wanted);
    }

    #[test]
    fn twenty_settings_are_told_and_how_many_more_there_are() {
        let setting =
            |n: i64| Setting { path: format!("user.{n}.deposit"), before: None, after: Some(n.into()) };
        let told = |many: i64| set(&(0..many).map(setting).collect::<Vec<_>>());
        assert!(told(2).ends_with("\n  user.1.deposit: not said in A, 1 in B\n"), "{}", told(2));
        assert_eq!((told(20).lines().count(), told(22).lines().count()), (21, 22));
        assert!(told(22).ends_with("\n  and 2 more (--json has all)\n"), "{}", told(22));
        assert_eq!(told(0), "nothing is set otherwise\n");
    }

    #[test]
    fn a_number_has_the_decimals_that_its_interval_gives_a_meaning_to() {
        let cell = |sample: &[f64]| mean(&estimate(sample).unwrap());
        assert_eq!(cell(&[5.0, 5.0, 5.0]), "5 ± 0");
        assert_eq!(cell(&[12345.6789]), "12345.7");
        assert_eq!(cell(&[100_000.0, 300_000.0]), "200000 ± 1270620");
        assert_eq!(cell(&[1e90, 3e90]), "2.0000e90 ± 1.2706e91");
        assert_eq!((percent(-12.345), percent(1e90)), ("-12.35 %".into(), "+1.0000e90 %".into()));
        assert_eq!(clipped(&"é".repeat(99)).chars().count(), WIDE + 3);
        assert_eq!(cell(&[0.01, 0.02, 0.03]), "0.0200 ± 0.0248");
    }
}
