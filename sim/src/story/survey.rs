//! Reading a story: who and what there is in it, and which ways belong to a job.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::line::Line;

/// What a whole story holds.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) hosts: BTreeSet<String>,
    /// The scenario's jobs, each with the ids of its requests.
    jobs: BTreeMap<String, BTreeSet<String>>,
    requests: BTreeSet<String>,
    /// What each way is about, as far as it was ever said.
    ways: BTreeMap<u64, (Option<String>, BTreeSet<String>)>,
}

/// One job, through every party.
#[derive(Debug, Default)]
pub(super) struct Trail {
    name: Option<String>,
    requests: BTreeSet<String>,
    ways: BTreeSet<u64>,
}

/// Hands out the lines of a story, in order.
pub(super) fn each(file: &Path, mut take: impl FnMut(Line)) -> Result<(), String> {
    let place = |what: String| format!("{}: {what}", file.display());
    let lines = BufReader::new(File::open(file).map_err(|error| place(error.to_string()))?).lines();
    for (number, line) in lines.enumerate() {
        let line = line.map_err(|error| place(format!("line {}: {error}", number + 1)))?;
        let bad = |error| place(format!("line {} is none of a trace: {error}", number + 1));
        take(serde_json::from_str(&line).map_err(bad)?);
    }
    Ok(())
}

impl Survey {
    /// And what is wrong with the story's end, if anything is: what comes before it is surveyed.
    ///
    /// # Errors
    /// There is nothing to survey.
    pub(super) fn of(file: &Path) -> Result<(Self, Option<String>), String> {
        let mut survey = Self::default();
        let broken = each(file, |line| survey.add(line)).err();
        if survey.hosts.is_empty() {
            let empty = || format!("{}: it is empty; `run --trace` writes traces", file.display());
            return Err(broken.unwrap_or_else(empty));
        }
        Ok((survey, broken))
    }

    fn add(&mut self, line: Line) {
        self.hosts.insert(line.host);
        let parts = line.parts.iter().flat_map(|part| &part.about);
        self.requests.extend(line.about.iter().chain(parts).cloned());
        if let Some(way) = line.way.filter(|_| line.job.is_some() || !line.about.is_empty()) {
            let (job, about) = self.ways.entry(way).or_default();
            job.clone_from(&line.job);
            about.extend(line.about.iter().cloned());
        }
        if let Some(job) = line.job {
            self.jobs.entry(job).or_default().extend(line.about);
        }
    }

    pub(super) fn check_hosts<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Result<(), String> {
        match names.into_iter().find(|name| !self.hosts.contains(*name)) {
            Some(unknown) => Err(format!("no host {unknown:?}; there are {}", listed(self.hosts.iter()))),
            None => Ok(()),
        }
    }

    /// `job`: a scenario's name of it, or a request id, with or without its `req_`.
    pub(super) fn trail(&self, job: &str) -> Result<Trail, String> {
        let id = job.strip_prefix("req_").unwrap_or(job);
        let (name, requests) = if let Some(requests) = self.jobs.get(job) {
            (Some(job.to_owned()), requests.clone())
        } else if self.requests.contains(id) {
            let name = self.jobs.iter().find(|(_, requests)| requests.contains(id));
            (name.map(|(name, _)| name.clone()), BTreeSet::from([id.to_owned()]))
        } else {
            let jobs = listed(self.jobs.keys());
            return Err(format!("no job {job:?}, by name or request id; there are {jobs}"));
        };
        let of_it = |(job, about): &(Option<String>, BTreeSet<String>)| {
            (name.is_some() && *job == name) || !about.is_disjoint(&requests)
        };
        let ways = self.ways.iter().filter(|(_, tag)| of_it(tag)).map(|(way, _)| *way).collect();
        Ok(Trail { name, requests, ways })
    }
}

impl Trail {
    /// Whether all that the line tells is of the job.
    pub(super) fn owns(&self, line: &Line) -> bool {
        let named = line.job.is_some() && line.job == self.name;
        named || line.way.is_some_and(|way| self.ways.contains(&way)) || self.names(&line.about)
    }

    pub(super) fn names(&self, about: &[String]) -> bool {
        about.iter().any(|id| self.requests.contains(id))
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
