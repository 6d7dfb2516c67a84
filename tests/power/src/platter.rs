//! Files as the power's end leaves them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labman_proto_core::rng::Stream;

use crate::vfs::{Event, What};

/// What a disk may write at once, in bytes: less of it is there whole or not at all.
const SECTOR: usize = 512;

/// Of what was written since the last sync.
pub enum Survives<'a> {
    Nothing,
    /// All up to some write, and of each after that all, nothing, or some of its sectors, as chance has it.
    Some(&'a mut Stream),
}

/// The files of a recording, up to some event.
#[derive(Clone, Debug, Default)]
pub struct Platters {
    files: BTreeMap<PathBuf, Platter>,
}

#[derive(Clone, Debug, Default)]
struct Platter {
    synced: Vec<u8>,
    /// In the order in which they were written.
    unsynced: Vec<What>,
}

impl Platters {
    pub fn new(files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let platter = |(path, synced)| (path, Platter { synced, unsynced: Vec::new() });
        Self { files: files.into_iter().map(platter).collect() }
    }

    /// One event later.
    pub fn advance(&mut self, event: &Event) {
        let platter = self.files.entry(event.file.clone()).or_default();
        match &event.what {
            What::Sync => {
                for what in std::mem::take(&mut platter.unsynced) {
                    apply(&mut platter.synced, &what, |_| true);
                }
            }
            What::Write { .. } | What::Truncate(_) => platter.unsynced.push(event.what.clone()),
        }
    }

    /// Is there anything that chance could decide?
    pub fn is_synced(&self) -> bool {
        self.files.values().all(|platter| platter.unsynced.is_empty())
    }

    /// Writes what is left of each file to the same place under another directory.
    pub fn leave(&self, from: &Path, to: &Path, mut survives: Survives<'_>) -> std::io::Result<()> {
        for (path, platter) in &self.files {
            let mut left = platter.synced.clone();
            if let Survives::Some(chance) = &mut survives {
                // What is written long before it is synced mostly gets there; of the last any part may.
                let there = chance.below(platter.unsynced.len() as u64 + 1) as usize;
                for (at, what) in platter.unsynced.iter().enumerate() {
                    match chance.below(3) {
                        _ if at < there => apply(&mut left, what, |_| true),
                        0 => {}
                        1 => apply(&mut left, what, |_| chance.below(2) == 0),
                        _ => apply(&mut left, what, |_| true),
                    }
                }
            }
            let within = path.strip_prefix(from).map_err(std::io::Error::other)?;
            let at = to.join(within);
            std::fs::create_dir_all(at.parent().unwrap_or(to))?;
            std::fs::write(at, left)?;
        }
        Ok(())
    }
}

/// Those sectors of a write that are kept.
fn apply(file: &mut Vec<u8>, what: &What, mut keep: impl FnMut(usize) -> bool) {
    match what {
        What::Write { at, bytes } => {
            let (mut at, mut rest) = (*at, &bytes[..]);
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
                if keep(at) {
                    file.resize(file.len().max(at + part.len()), 0);
                    file[at..at + part.len()].copy_from_slice(part);
                }
                (at, rest) = (at + part.len(), after);
            }
        }
        What::Truncate(len) if keep(*len) => file.resize(*len, 0),
        What::Truncate(_) | What::Sync => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::rng::Seed;

    fn event(what: What) -> Event {
        Event { file: "/a/f".into(), what, marks: 0 }
    }

    fn left(platters: &Platters, survives: Survives<'_>) -> Vec<u8> {
        let to = tempfile::tempdir().unwrap();
        platters.leave(Path::new("/a"), to.path(), survives).unwrap();
        std::fs::read(to.path().join("f")).unwrap()
    }

    #[test]
    fn what_was_synced_stays_and_of_the_rest_what_chance_leaves() {
        let mut platters = Platters::new([("/a/f".into(), vec![1; 600])].into());
        platters.advance(&event(What::Write { at: 500, bytes: vec![2; 1000] }));
        assert_eq!(left(&platters, Survives::Nothing), [1; 600]);
        let mut chance = Seed::from_u64(1).stream("cuts");
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            seen.insert(left(&platters, Survives::Some(&mut chance)));
        }
        // Three sectors are touched; each is there or not.
        assert_eq!(seen.len(), 8);
        assert!(seen.iter().all(|file| file[..500] == [1; 500]));
        platters.advance(&event(What::Sync));
        assert!(platters.is_synced());
        assert_eq!(left(&platters, Survives::Nothing)[500..], [2; 1000]);
        platters.advance(&event(What::Truncate(10)));
        platters.advance(&event(What::Sync));
        assert_eq!(left(&platters, Survives::Nothing), [1; 10]);
    }
}
