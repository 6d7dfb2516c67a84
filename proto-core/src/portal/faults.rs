//! Trouble with a rail, on the operator's order: to see beforehand what a portal makes of it.
//!
//! A fault befalls the next transfers that are sent over its rail, each once. How often it still will is in the batch that
//! marks a transfer as sent.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::{BadRow, Row, Snapshot, Write};

use super::config::RailName;
use super::rows::{FAULTS, FaultRow};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// The rail says that it will never make this transfer.
    Failed,
    /// It makes the transfer, and its answer is lost.
    AnswerLost,
    /// It never hears of the transfer, and nobody knows.
    AskLost,
}

#[derive(Default)]
pub(super) struct Faults {
    by_rail: BTreeMap<RailName, (Fault, u32)>,
}

impl Faults {
    pub(super) fn load(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let mut faults = Self::default();
        for row in snapshot.of(FAULTS) {
            let FaultRow { rail, fault, times } = row.parse(FAULTS)?;
            faults.by_rail.insert(rail, (fault, times));
        }
        Ok(faults)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = FaultRow> {
        self.by_rail.iter().map(|(rail, (fault, times))| FaultRow {
            rail: *rail,
            fault: *fault,
            times: *times,
        })
    }

    /// In place of what was ordered for that rail before; zero times: nothing.
    pub(super) fn order(&mut self, rail: RailName, fault: Fault, times: u32) -> Write {
        if times == 0 {
            self.by_rail.remove(&rail);
            return Write::Delete(FAULTS, alloc::format!("{rail}"));
        }
        self.by_rail.insert(rail, (fault, times));
        Write::Put(FAULTS, Row::json(alloc::format!("{rail}"), &FaultRow { rail, fault, times }))
    }

    /// What befalls the next transfer over that rail.
    pub(super) fn strike(&mut self, rail: RailName) -> Option<(Fault, Write)> {
        let (fault, times) = self.by_rail.get(&rail).copied()?;
        Some((fault, self.order(rail, fault, times.saturating_sub(1))))
    }
}
