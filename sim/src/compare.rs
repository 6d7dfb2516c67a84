//! Two sweeps, figure by figure: rows are paired by grid point and seed, so that luck common to both cancels.
//!
//! Points are kept apart: they share their seeds, so rows of different points are not independent and cannot be pooled. What
//! is absent: a correction for looking at many figures at once; see [`crate::stats`].

mod settings;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::results::table::{BALANCE, BALANCE_OF_USER};
use crate::results::{Manifest, Row, Sheet};
use crate::stats::{CONFIDENCE, Difference, Estimate, Interval, difference, estimate};

pub use settings::Setting;

#[derive(Clone, Debug)]
pub struct Comparison {
    pub before: String,
    pub after: String,
    /// What the two were set to otherwise. `None`: one is a table alone, which does not say what it is of.
    pub settings: Option<Vec<Setting>>,
    /// In the order of the first table's rows.
    pub points: Vec<Point>,
    /// What may keep a reader from believing the numbers: rows without a partner, runs that failed, figures in one only.
    pub notes: Vec<String>,
}

/// A place on the grid that both have.
#[derive(Clone, Debug)]
pub struct Point {
    /// Path and value.
    pub grid: Vec<(String, String)>,
    pub pairs: usize,
    pub figures: Vec<Figure>,
}

#[derive(Clone, Debug)]
pub struct Figure {
    pub name: String,
    pub before: Estimate,
    pub after: Estimate,
    /// `after - before`.
    pub difference: Difference,
}

impl Comparison {
    /// Of two results directories, or tables.
    ///
    /// # Errors
    /// If one can't be read, or as of two tables.
    pub fn read(before: &Path, after: &Path) -> Result<Self, String> {
        let found = Self::new(&Sheet::open(before)?, &Sheet::open(after)?)?;
        // Figures can be compared without: of a table alone there is none, and one of another format tells other things.
        let manifests = Manifest::read(before).ok().zip(Manifest::read(after).ok());
        Ok(Self { settings: manifests.and_then(|(a, b)| settings::differing(&a, &b).ok()), ..found })
    }

    /// # Errors
    /// If no row of one can be paired with one of the other, or they have no figure in common.
    pub fn new(before: &Sheet, after: &Sheet) -> Result<Self, String> {
        let order = paths_in(before, after)?;
        let partners = by_place(after, &order)?;
        let places = by_place(before, &(0..before.grid.len()).collect::<Vec<_>>())?;
        let shared = shared_figures(before, after);
        if shared.is_empty() {
            return Err(format!("{} and {} have no figure in common", before.file, after.file));
        }
        // Row by row, so that points come as the table has them.
        let mut points: Vec<(&Vec<String>, Vec<Pair>)> = Vec::new();
        for row in &before.rows {
            let Some(partner) = partners.get(&(row.values.clone(), row.seed)) else { continue };
            match points.iter_mut().find(|(point, _)| **point == row.values) {
                Some((_, pairs)) => pairs.push((row, partner)),
                None => points.push((&row.values, vec![(row, partner)])),
            }
        }
        let paired: usize = points.iter().map(|(_, pairs)| pairs.len()).sum();
        if paired == 0 {
            return Err(format!(
                "{} and {} have no row in common: none with the same seed{}",
                before.file,
                after.file,
                before.grid.iter().map(|path| format!(" and {path}")).collect::<String>()
            ));
        }
        let mut notes = Vec::new();
        if before.build != after.build {
            notes.push(format!(
                "A was run by build {}, B by {}: what differs may be the program",
                before.build, after.build
            ));
        }
        for (sheet, other, rows) in [(before, after, places.len()), (after, before, partners.len())] {
            notes.extend(unpaired(sheet, rows - paired));
            notes.extend(failed(sheet));
            notes.extend(only_in(sheet, other));
        }
        let point = |(point, pairs): (&Vec<String>, Vec<Pair>)| Point {
            grid: before.grid.iter().cloned().zip(point.iter().cloned()).collect(),
            pairs: pairs.len(),
            figures: shared.iter().filter_map(|(name, columns)| figure(name, &pairs, *columns)).collect(),
        };
        let points = points.into_iter().map(point).collect();
        Ok(Self { before: before.file.clone(), after: after.file.clone(), settings: None, points, notes })
    }

    /// A table for eyes. Without `all`, figures that are everywhere the same are left out.
    pub fn to_table(&self, all: bool) -> String {
        table::render(self, all)
    }

    /// One line for machines, with all figures. `null` where a single pair has no interval, or nothing can be divided by.
    pub fn to_json(&self) -> Value {
        let points: Vec<Value> = self
            .points
            .iter()
            .map(|point| {
                let grid: BTreeMap<_, _> = point.grid.iter().cloned().collect();
                let figures: Vec<Value> = point.figures.iter().map(Figure::to_json).collect();
                json!({ "grid": grid, "pairs": point.pairs, "figures": figures })
            })
            .collect();
        let settings: Option<Vec<Value>> =
            self.settings.as_ref().map(|settings| settings.iter().map(Setting::to_json).collect());
        json!({
            "a": self.before,
            "b": self.after,
            "settings": settings,
            "confidence": CONFIDENCE,
            "points": points,
            "notes": self.notes,
        })
    }
}

impl Figure {
    /// As a share of the first mean.
    pub fn relative_change(&self) -> Option<f64> {
        (self.before.mean != 0.0).then(|| self.difference.estimate.mean / self.before.mean.abs())
    }

    /// Both of each pair came to the same.
    pub fn is_equal(&self) -> bool {
        self.difference.is_none()
    }

    /// A user's balance: there may be a thousand, and what was charged says as much of all.
    pub fn is_of_one_user(&self) -> bool {
        self.name.starts_with(BALANCE_OF_USER)
    }

    fn to_json(&self) -> Value {
        let estimate = |Estimate { mean, deviation, interval }: Estimate| {
            let [low, high] = ends(interval);
            json!({ "mean": mean, "deviation": deviation, "low": low, "high": high })
        };
        let Difference { estimate: difference, p } = self.difference;
        let mut difference = estimate(difference);
        difference["p"] = json!(p);
        json!({
            "figure": self.name,
            "a": estimate(self.before),
            "b": estimate(self.after),
            "difference": difference,
            "relative_change": self.relative_change(),
        })
    }
}

fn ends(interval: Option<Interval>) -> [Option<f64>; 2] {
    [interval.map(|it| it.low), interval.map(|it| it.high)]
}

/// Two runs with the same seed and grid point.
type Pair<'a> = (&'a Row, &'a Row);

/// Where a figure stands in either table.
type Columns = (Option<usize>, Option<usize>);

/// What both have, as the first orders it. An account that no run of one has used has no column there, and a balance of 0.
fn shared_figures<'a>(before: &'a Sheet, after: &'a Sheet) -> Vec<(&'a String, Columns)> {
    let place = |sheet: &Sheet, name: &String| sheet.figures.iter().position(|other| other == name);
    let more = after.figures.iter().filter(|name| place(before, name).is_none());
    let all = before.figures.iter().chain(more).map(|name| (name, (place(before, name), place(after, name))));
    let known = |(name, columns): &(&String, Columns)| {
        name.starts_with(BALANCE) || matches!(columns, (Some(_), Some(_)))
    };
    all.filter(known).collect()
}

fn figure(name: &str, pairs: &[Pair], (left, right): Columns) -> Option<Figure> {
    let value = |row: &Row, column: Option<usize>| match column {
        Some(at) => row.figures[at],
        // No run used the account; one that panicked used nobody knows which.
        None => row.figures.iter().any(Option::is_some).then_some(0.0),
    };
    // Only where both have it: one that panicked has no figures.
    let both = pairs.iter().filter_map(|(before, after)| value(before, left).zip(value(after, right)));
    let values: Vec<(f64, f64)> = both.collect();
    let (before, after): (Vec<f64>, Vec<f64>) = values.iter().copied().unzip();
    Some(Figure {
        name: name.into(),
        before: estimate(&before)?,
        after: estimate(&after)?,
        difference: difference(&values)?,
    })
}

/// Where the first table's paths stand in the second's grid. Both must vary the same: otherwise a row has many partners.
fn paths_in(before: &Sheet, after: &Sheet) -> Result<Vec<usize>, String> {
    for (one, other) in [(before, after), (after, before)] {
        if let Some(path) = one.grid.iter().find(|path| !other.grid.contains(path)) {
            return Err(format!(
                "{}:1: there is no column {path:?}, which tells rows of {} apart; sweep both over the same paths \
                 (--grid {path}=... with one value will do)",
                other.file, one.file
            ));
        }
    }
    let place = |path: &String| after.grid.iter().position(|other| other == path);
    Ok(before.grid.iter().filter_map(place).collect())
}

/// Rows by grid point and seed, the point's values in the order given.
fn by_place<'a>(sheet: &'a Sheet, order: &[usize]) -> Result<BTreeMap<(Vec<String>, u64), &'a Row>, String> {
    let mut places: BTreeMap<_, &Row> = BTreeMap::new();
    for row in &sheet.rows {
        let point: Vec<String> = order.iter().map(|at| row.values[*at].clone()).collect();
        if let Some(first) = places.insert((point, row.seed), row) {
            let Row { line, seed, .. } = row;
            return Err(format!(
                "{}:{line}: seed {seed} is there twice at this point; first in line {}",
                sheet.file, first.line
            ));
        }
    }
    Ok(places)
}

fn unpaired(sheet: &Sheet, rows: usize) -> Option<String> {
    (rows > 0).then(|| format!("{}: {rows} of {} rows have no partner", sheet.file, sheet.rows.len()))
}

fn failed(sheet: &Sheet) -> Option<String> {
    let failed = sheet.rows.iter().filter(|row| !row.passed).count();
    (failed > 0).then(|| format!("{}: {failed} of {} runs failed", sheet.file, sheet.rows.len()))
}

fn only_in(sheet: &Sheet, other: &Sheet) -> Option<String> {
    let lacking =
        sheet.figures.iter().filter(|name| !other.figures.contains(name) && !name.starts_with(BALANCE));
    let lacking: Vec<&str> = lacking.map(String::as_str).collect();
    (!lacking.is_empty()).then(|| format!("only in {}: {}", sheet.file, lacking.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(file: &str, text: &str) -> Sheet {
        let text = text
            .replace("seed,trace_hash,passed", "seed,build,trace_hash,passed,error")
            .replace(",true,", ",true,,")
            .replace(",false,", ",false,x,")
            .replace(",aa,", ",v,aa,")
            .replace(",bb,", ",v,bb,");
        let text = format!("scenario,variant,point,run,{text}").replace("\n", "\nx,00,0,0,");
        Sheet::read(file, text.trim_end_matches("x,00,0,0,").as_bytes()).unwrap()
    }

    const A: &str = "slots,fees,seed,trace_hash,passed,jobs,paid\n\
                     2,0,1,aa,true,10,5\n\
                     2,0,2,aa,true,20,5\n\
                     4,0,1,aa,true,30,5\n\
                     4,0,2,aa,true,31,5\n";
    /// The same grid, its columns in another order, as are its rows.
    const B: &str = "fees,slots,seed,trace_hash,passed,paid,jobs\n\
                     0,4,2,bb,true,5,32\n\
                     0,4,1,bb,false,5,31\n\
                     0,2,2,bb,true,5,23\n\
                     0,2,1,bb,true,5,11\n\
                     9,2,1,bb,true,5,99\n";

    #[test]
    fn rows_are_paired_by_point_and_seed_wherever_they_stand() {
        let found = Comparison::new(&sheet("a.csv", A), &sheet("b.csv", B)).unwrap();
        let points: Vec<_> =
            found.points.iter().map(|point| (point.grid[0].1.as_str(), point.pairs)).collect();
        assert_eq!(points, [("2", 2), ("4", 2)]);
        let jobs: Vec<_> = found.points.iter().map(|point| &point.figures[0]).collect();
        assert_eq!((jobs[0].before.mean, jobs[0].after.mean), (15.0, 17.0));
        assert_eq!((jobs[0].difference.estimate.mean, jobs[0].relative_change()), (2.0, Some(2.0 / 15.0)));
        assert_eq!((jobs[1].difference.estimate.mean, jobs[1].difference.p), (1.0, Some(0.0)));
        assert_eq!(found.notes, ["b.csv: 1 of 5 rows have no partner", "b.csv: 1 of 5 runs failed"]);
        assert_eq!(found.to_json()["points"][0]["figures"][0]["difference"]["mean"], 2.0);
    }

    #[test]
    fn what_never_changes_is_in_the_table_only_when_all_is_asked_for() {
        let found = Comparison::new(&sheet("a.csv", A), &sheet("b.csv", B)).unwrap();
        assert!(!found.to_table(false).contains("paid"));
        assert!(found.to_table(true).contains("paid"));
        assert_eq!(found.to_json()["points"][0]["figures"][1]["figure"], "paid");
    }

    #[test]
    fn an_account_that_only_one_table_has_was_empty_in_the_other() {
        let one = "seed,trace_hash,passed,jobs,old\n1,aa,true,1,2\n";
        let other = "seed,trace_hash,passed,jobs,balance.fep:fees\n1,aa,true,1,44\n";
        for (a, b, before, after) in [(one, other, 0.0, 44.0), (other, one, 44.0, 0.0)] {
            let found = Comparison::new(&sheet("a.csv", a), &sheet("b.csv", b)).unwrap();
            let fees = &found.points[0].figures[1];
            assert_eq!(
                (fees.name.as_str(), fees.before.mean, fees.after.mean),
                ("balance.fep:fees", before, after)
            );
            assert!(found.notes.len() == 1 && found.notes[0].ends_with(".csv: old"), "{:?}", found.notes);
        }
    }

    #[test]
    fn tables_that_cannot_be_paired_are_refused_with_the_reason() {
        let error = |a: &str, b: &str| Comparison::new(&sheet("a.csv", a), &sheet("b.csv", b)).unwrap_err();
        let seeds = error(A, "slots,fees,seed,trace_hash,passed,jobs\n2,0,7,aa,true,1\n");
        assert_eq!(
            seeds,
            "a.csv and b.csv have no row in common: none with the same seed and slots and fees"
        );
        let path = error(A, "slots,seed,trace_hash,passed,jobs\n2,1,aa,true,1\n");
        assert!(path.starts_with("b.csv:1: there is no column \"fees\""), "{path}");
        let path = error("slots,seed,trace_hash,passed,jobs\n2,1,aa,true,1\n", A);
        assert!(path.starts_with("a.csv:1: there is no column \"fees\""), "{path}");
        let twice = error(A, "slots,fees,seed,trace_hash,passed,jobs\n2,0,1,aa,true,1\n2,0,1,aa,true,2\n");
        assert_eq!(twice, "b.csv:3: seed 1 is there twice at this point; first in line 2");
        let figure = error(A, "slots,fees,seed,trace_hash,passed,tokens\n2,0,1,aa,true,1\n");
        assert_eq!(figure, "a.csv and b.csv have no figure in common");
    }

    #[test]
    fn a_single_pair_has_means_and_nothing_to_be_confident_of() {
        let one = "seed,trace_hash,passed,jobs\n1,aa,true,0\n";
        let other = "seed,trace_hash,passed,jobs\n1,aa,true,3\n";
        let found = Comparison::new(&sheet("a.csv", one), &sheet("b.csv", other)).unwrap();
        let figure = &found.to_json()["points"][0]["figures"][0];
        assert_eq!(figure["difference"]["mean"], 3.0);
        assert!(figure["difference"]["low"].is_null() && figure["relative_change"].is_null());
        assert!(found.to_table(false).contains("jobs"));
    }
}
