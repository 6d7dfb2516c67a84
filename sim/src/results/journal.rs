//! `running.jsonl`: the runs of a sweep that is not over yet, so that it can be ended at any moment and goes on where it was.
//!
//! Its first line is the manifest, each further one a run, in the order in which they ended. What is absent: sync. What
//! the power takes with it is run again.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Kept, Manifest, Ran, directory, manifest};

const FILE: &str = "running.jsonl";

/// What there is where results are to go.
pub enum Place {
    /// All of it has run before.
    Complete(Manifest),
    /// Nothing, or a part.
    Running(Journal),
}

pub struct Journal {
    dir: PathBuf,
    manifest: Manifest,
    /// Locked: two processes would write into each other's lines.
    file: File,
    /// Where each run's line begins, and its length, by number in the plan's order.
    lines: BTreeMap<usize, (u64, usize)>,
    end: u64,
}

/// Of a run's line, what tells which run it is.
#[derive(Deserialize)]
struct Head {
    ran: RanHead,
}

#[derive(Deserialize)]
struct RanHead {
    point: u32,
    run: u32,
    seed: u64,
}

impl Place {
    /// Looks at the directory, which is made if there is none.
    ///
    /// # Errors
    /// If it has something else in it, or results of another plan or build, or is being written.
    pub fn open(dir: &Path, manifest: &Manifest) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("--out {}: {error}", dir.display());
        fs::create_dir_all(dir).map_err(failed)?;
        let path = dir.join(FILE);
        if dir.join(manifest::FILE).exists() {
            let found = Manifest::read(dir)?;
            refuse_other(dir, &found, manifest)?;
            directory::check(dir)?;
            // Left by one that was ended as it took it away.
            let _ = fs::remove_file(path);
            return Ok(Self::Complete(found));
        }
        if !path.exists() && fs::read_dir(dir).map_err(failed)?.next().is_some() {
            let dir = dir.display();
            return Err(format!(
                "--out {dir}: holds something, and no results: choose a folder that is empty or new"
            ));
        }
        Journal::open(dir, manifest).map(Self::Running)
    }
}

/// What to say where results are looked for.
pub(super) const NOT_OVER: &str = "the sweep has not come to its end: say it again";

impl Journal {
    /// Has a sweep been begun there that is not over?
    pub(super) fn is_in(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    fn open(dir: &Path, manifest: &Manifest) -> Result<Self, String> {
        let path = dir.join(FILE);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "{}: another sweep is writing it: wait for it, or choose another --out",
                    path.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut journal =
            Self { dir: dir.to_owned(), manifest: manifest.clone(), file, lines: BTreeMap::new(), end: 0 };
        journal.survey()?;
        // What comes after the last whole line was torn.
        journal.file.set_len(journal.end).map_err(failed)?;
        if journal.end == 0 {
            let text = serde_json::to_string(manifest).map_err(|error| error.to_string())?;
            journal.write(&text)?;
        }
        Ok(journal)
    }

    /// Finds the lines that are there.
    fn survey(&mut self) -> Result<(), String> {
        let path = self.dir.join(FILE).display().to_string();
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(|error| format!("{path}: {error}"))?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let damaged = |error: serde_json::Error| match number {
                1 => format!("{path}:1: {error}: remove {} to begin again", self.dir.display()),
                number => format!("{path}:{number}: {error}: remove the line, and it is run again"),
            };
            if number == 1 {
                let found: Manifest = serde_json::from_slice(&line).map_err(damaged)?;
                refuse_other(&self.dir, &found, &self.manifest)?;
            } else {
                let Head { ran } = serde_json::from_slice(&line).map_err(damaged)?;
                if ran.point as usize >= self.manifest.points.len() || !self.manifest.has(ran.run, ran.seed) {
                    return Err(format!(
                        "{path}:{number}: is no run of this sweep: remove the line, and it is run again"
                    ));
                }
                self.lines.insert(self.manifest.index(ran.point, ran.run), (self.end, length));
            }
            self.end += length as u64;
        }
        Ok(())
    }

    /// Whether that run is there, by number in the plan's order.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.lines.contains_key(&index)
    }

    /// How many runs are there, and how many of them have failed.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn counts(&mut self) -> Result<(u64, u64), String> {
        let all: Vec<usize> = self.lines.keys().copied().collect();
        let mut failed = 0;
        for index in &all {
            failed += u64::from(!self.read(*index)?.ran.passed);
        }
        Ok((all.len() as u64, failed))
    }

    /// # Errors
    /// If it can't be written.
    pub fn append(&mut self, kept: &Kept) -> Result<(), String> {
        let text = serde_json::to_string(kept).map_err(|error| error.to_string())?;
        let from = self.end;
        self.write(&text)?;
        let index = self.manifest.index(kept.ran.point, kept.ran.run);
        self.lines.insert(index, (from, (self.end - from) as usize));
        Ok(())
    }

    /// Writes the results, takes the journal away, and tells what they came to.
    ///
    /// # Errors
    /// If a file can't be read or written; then the journal stays.
    pub fn finish(mut self) -> Result<(Manifest, Vec<Ran>), String> {
        let (dir, manifest) = (self.dir.clone(), self.manifest.clone());
        let all: Vec<usize> = self.lines.keys().copied().collect();
        let done = directory::write(&dir, &manifest, all.into_iter().map(|index| self.read(index)))?;
        let path = dir.join(FILE);
        fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(done)
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        let line = format!("{text}\n");
        let written =
            self.file.seek(SeekFrom::Start(self.end)).and_then(|_| self.file.write_all(line.as_bytes()));
        written.map_err(|error| format!("{}: {error}", self.dir.join(FILE).display()))?;
        self.end += line.len() as u64;
        Ok(())
    }

    fn read(&mut self, index: usize) -> Result<Kept, String> {
        let path = self.dir.join(FILE);
        let (from, length) = self.lines.get(&index).copied().unwrap_or_default();
        let mut line = vec![0; length];
        let read = self.file.seek(SeekFrom::Start(from)).and_then(|_| self.file.read_exact(&mut line));
        read.map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_slice(&line).map_err(|error| format!("{}: run {index}: {error}", path.display()))
    }
}

fn refuse_other(dir: &Path, found: &Manifest, wanted: &Manifest) -> Result<(), String> {
    match found.difference(wanted) {
        None => Ok(()),
        Some(what) => Err(format!(
            "{}: has results of another sweep, {what}: choose another --out, or remove it",
            dir.display()
        )),
    }
}
