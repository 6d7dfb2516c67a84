//! Shards of a sweep put together again: the same bytes as if one machine had run it all.

use std::collections::BTreeMap;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::vec;

use super::{Income, Kept, Manifest, Ran, Tick, Wait, directory, incomes, table, ticks, waits};
use crate::sweep::Shard;

/// Writes into `out`, which is made if there is none, what the shards have, and tells what it came to.
///
/// # Errors
/// If they are not all the shards of one sweep by one build, each once, or something can't be read or written.
pub fn merge(out: &Path, shards: &[PathBuf]) -> Result<(Manifest, Vec<Ran>), String> {
    let (manifest, places) = sort(shards)?;
    let mut parts = places.into_iter().map(Part::open).collect::<Result<Vec<_>, _>>()?;
    let failed = |error: std::io::Error| format!("{}: {error}", out.display());
    fs::create_dir_all(out).map_err(failed)?;
    if fs::read_dir(out).map_err(failed)?.next().is_some() {
        return Err(format!("{}: is not empty: choose a folder that is empty or new", out.display()));
    }
    let total = manifest.index(u32::try_from(manifest.points.len()).unwrap_or(u32::MAX), 0);
    let many = parts.len();
    let runs = (0..=total).filter_map(|index| match index == total {
        false => Some(parts[index % many].next(&manifest, index)),
        true => parts.iter_mut().find_map(Part::left_over).map(Err),
    });
    directory::write(out, &manifest, runs)
}

/// The whole's manifest, and the shards in their order.
fn sort(shards: &[PathBuf]) -> Result<(Manifest, Vec<&Path>), String> {
    let mut whole: Option<(Manifest, usize, &Path)> = None;
    let (mut places, mut file) = (BTreeMap::<usize, &Path>::new(), String::new());
    for dir in shards {
        let named = dir.display();
        let mut manifest = Manifest::read(dir)?;
        let text = manifest.shard.take().ok_or_else(|| {
            format!("{named}: is no shard but a whole sweep: merge is for those of sweep --shard")
        })?;
        let shard: Shard = text.parse().map_err(|why| format!("{named}: {why}"))?;
        let (first, of, before) = whole.get_or_insert_with(|| (manifest.clone(), shard.of(), dir));
        if let Some(what) = manifest.difference(first) {
            return Err(format!("{named}: is of another sweep than {}, {what}", before.display()));
        }
        if shard.of() != *of {
            return Err(format!("{named}: is shard {shard}, where {} is one of {of}", before.display()));
        }
        // They may have run it under several names, and come in any order.
        if shard.number() == 1 {
            file.clone_from(&manifest.file);
        }
        if let Some(other) = places.insert(shard.number(), dir) {
            return Err(format!("{named}: is shard {shard}, as {} is: name each once", other.display()));
        }
    }
    let (manifest, of, _) = whole.ok_or("name the shards' folders")?;
    match (1..=of).find(|number| !places.contains_key(number)) {
        Some(missing) => {
            Err(format!("shard {missing}/{of} is missing: run it with sweep --shard {missing}/{of}"))
        }
        None => Ok((Manifest { file, ..manifest }, places.into_values().collect())),
    }
}

/// A shard, read run by run.
struct Part<'a> {
    dir: &'a Path,
    rows: vec::IntoIter<Ran>,
    ticks: Peekable<Reader<Tick>>,
    incomes: Peekable<Reader<Income>>,
    waits: Peekable<Reader<Wait>>,
}

type Reader<T> = Box<dyn Iterator<Item = Result<T, String>>>;

impl<'a> Part<'a> {
    fn open(dir: &'a Path) -> Result<Self, String> {
        directory::check(dir)?;
        let ticks: Reader<Tick> = Box::new(ticks::read(&dir.join(ticks::FILE))?);
        let incomes: Reader<Income> = Box::new(incomes::read(&dir.join(incomes::FILE))?);
        let waits: Reader<Wait> = Box::new(waits::read(&dir.join(waits::FILE))?);
        let rows = Ran::of_folder(dir)?.into_iter();
        Ok(Self { dir, rows, ticks: ticks.peekable(), incomes: incomes.peekable(), waits: waits.peekable() })
    }

    /// The run of that number, which must be the next.
    fn next(&mut self, manifest: &Manifest, index: usize) -> Result<Kept, String> {
        let is = |ran: &Ran| manifest.index(ran.point, ran.run) == index && manifest.has(ran.run, ran.seed);
        let ran = self.rows.next().filter(is);
        let ran = ran.ok_or_else(|| {
            format!(
                "{}: run {index} is missing: remove the folder and run its shard again",
                self.dir.display()
            )
        })?;
        let place = (ran.point, ran.run);
        let ticks = of_run(&mut self.ticks, |tick| (tick.point, tick.run) == place)?;
        let incomes = of_run(&mut self.incomes, |income| (income.point, income.run) == place)?;
        let waits = of_run(&mut self.waits, |wait| (wait.point, wait.run) == place)?;
        Ok(Kept::of(ran, ticks, incomes, waits))
    }

    /// After its last run: what is of none.
    fn left_over(&mut self) -> Option<String> {
        let row = self.rows.next().map(|_| (table::CSV, None));
        let tick = || self.ticks.next().map(|tick| (ticks::FILE, tick.err()));
        let row = row.or_else(tick);
        let income = || self.incomes.next().map(|income| (incomes::FILE, income.err()));
        let row = row.or_else(income);
        let wait = || self.waits.next().map(|wait| (waits::FILE, wait.err()));
        let (file, damaged) = row.or_else(wait)?;
        if damaged.is_some() {
            return damaged;
        }
        let path = self.dir.join(file);
        Some(format!(
            "{}: has rows of no run of its shard: remove the folder and run it again",
            path.display()
        ))
    }
}

/// The rows that come next and are its.
fn of_run<T>(rows: &mut Peekable<Reader<T>>, is: impl Fn(&T) -> bool) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    // An error is taken, too, and told.
    while let Some(row) = rows.next_if(|row| row.as_ref().map_or(true, &is)) {
        all.push(row?);
    }
    Ok(all)
}
