//! Writing a results directory: each file under another name first, and the manifest last, so that a directory that has one
//! is complete.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::{Kept, Manifest, Ran, Table, incomes, manifest, table, ticks, waits};

/// What there is beside the manifest once all of it has run.
const FILES: [&str; 5] = [table::CSV, table::PARQUET, ticks::FILE, incomes::FILE, waits::FILE];

/// # Errors
/// If it has a manifest, and not all of the others.
pub(super) fn check(dir: &Path) -> Result<(), String> {
    match FILES.iter().find(|file| !dir.join(file).exists()) {
        None => Ok(()),
        Some(missing) => Err(format!("{}: {missing} is missing: {}", dir.display(), manifest::AGAIN)),
    }
}

/// Writes what there is of these runs, which come in the plan's order. How many there are and have failed, the manifest is
/// told; so are the rows.
///
/// # Errors
/// If a file can't be written, or the first that `runs` has.
pub(super) fn write(
    dir: &Path,
    manifest: &Manifest,
    runs: impl Iterator<Item = Result<Kept, String>>,
) -> Result<(Manifest, Vec<Ran>), String> {
    let mut rows = Vec::new();
    let mut files = Files { dir, written: Vec::new() };
    let named = |file: &'static str| move |why: String| format!("{}: {why}", dir.join(file).display());
    let mut out = ticks::Writer::new(files.create(ticks::FILE)?).map_err(named(ticks::FILE))?;
    let mut providers = incomes::Writer::new(files.create(incomes::FILE)?).map_err(named(incomes::FILE))?;
    let mut waited = waits::Writer::new(files.create(waits::FILE)?).map_err(named(waits::FILE))?;
    for kept in runs {
        let kept = kept?;
        out.add(&kept).map_err(named(ticks::FILE))?;
        providers.add(&kept).map_err(named(incomes::FILE))?;
        waited.add(&kept).map_err(named(waits::FILE))?;
        rows.push(kept.ran);
    }
    out.close().map_err(named(ticks::FILE))?;
    providers.close().map_err(named(incomes::FILE))?;
    waited.close().map_err(named(waits::FILE))?;
    let failed = rows.iter().filter(|ran| !ran.passed).count() as u64;
    let manifest = Manifest { runs: rows.len() as u64, failed, ..manifest.clone() };
    let table = Table::new(&manifest, &rows);
    let csv = files.create(table::CSV)?;
    let why = |error: std::io::Error| format!("{}: {error}", dir.join(table::CSV).display());
    table.write_csv(BufWriter::new(&csv)).and_then(|()| csv.sync_all()).map_err(why)?;
    table.write_parquet(files.create(table::PARQUET)?).map_err(named(table::PARQUET))?;
    let mut file = files.create(manifest::FILE)?;
    let why = |error: std::io::Error| format!("{}: {error}", dir.join(manifest::FILE).display());
    file.write_all(manifest.to_json().as_bytes()).and_then(|()| file.sync_all()).map_err(why)?;
    files.name()?;
    Ok((manifest, rows))
}

/// Files that have not their names yet.
struct Files<'a> {
    dir: &'a Path,
    written: Vec<&'static str>,
}

impl Files<'_> {
    fn create(&mut self, name: &'static str) -> Result<File, String> {
        let path = self.dir.join(format!("{name}.tmp"));
        self.written.push(name);
        File::create(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// In the order in which they were created.
    fn name(mut self) -> Result<(), String> {
        for name in std::mem::take(&mut self.written) {
            let path = self.dir.join(name);
            fs::rename(self.dir.join(format!("{name}.tmp")), &path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }
}

impl Drop for Files<'_> {
    /// What could not be written whole is taken away.
    fn drop(&mut self) {
        for name in &self.written {
            let _ = fs::remove_file(self.dir.join(format!("{name}.tmp")));
        }
    }
}
