//! Disks against what their machines say of them: a row that nobody looks after is somebody's money, and lies there for ever.

use labman_proto_core::identity::{Verify, verify_strict};
use labman_proto_core::store::Table;
use labman_proto_core::time::Span;
use serde_json::Value;

use super::Run;
use crate::check::rows;
use crate::disk::Disk;
use crate::scenario::Scheme;
use crate::tag;

pub(super) const GATEWAY_JOBS: Table = Table::live("gateway_jobs");
/// Time for rows to go that were being deleted.
const A_WHILE: Span = Span::from_secs(10);

impl Run<'_> {
    /// Every job that a gateway's disk says is to be settled, the gateway is settling.
    pub(super) fn check_disks(&mut self) {
        if self.forgotten().is_empty() {
            return;
        }
        self.nap(A_WHILE);
        let found = self.forgotten();
        self.findings.extend(found);
    }

    /// What an operator's audit would say of the files, but of those that somebody dishonest wrote, or that forgot.
    pub(super) fn check_rows(&mut self) {
        let verify: Verify = match self.scenario.scheme {
            Scheme::Ed25519 => verify_strict,
            Scheme::Tag => tag::verify,
        };
        let fep_name = self.scenario.fep.name.as_str();
        let Some(fep) = self.sound_disk(fep_name) else { return };
        let mut found = rows::check_fep(fep, verify);
        // Without all gateways nobody can say what is on its way.
        let gateways: Vec<&Disk> =
            self.scenario.gateways.iter().filter_map(|gateway| self.sound_disk(&gateway.name)).collect();
        let gateways = if gateways.len() == self.scenario.gateways.len() { gateways } else { Vec::new() };
        for provider in &self.scenario.providers {
            let Some(disk) = self.sound_disk(&provider.name) else { continue };
            let ids = (self.cast.fep_id(), self.cast.node_id(&provider.name));
            let of_it = rows::check_provider(disk, fep, &gateways, ids, verify, &provider.exposure.into());
            found.extend(of_it.into_iter().map(|what| format!("{}: {what}", provider.name)));
        }
        self.findings.extend(found);
    }

    fn sound_disk(&self, name: &str) -> Option<&Disk> {
        if !self.scenario.is_honest(name) || self.scenario.forgets(name) {
            return None;
        }
        let disk = self.world.disk(*self.hosts.get(name)?);
        (!disk.is_torn()).then_some(disk)
    }

    fn forgotten(&mut self) -> Vec<String> {
        let scenario = self.scenario;
        let honest = scenario.gateways.iter().filter(|gateway| scenario.is_honest(&gateway.name));
        honest.filter_map(|gateway| self.forgotten_by(&gateway.name)).collect()
    }

    fn forgotten_by(&mut self, name: &str) -> Option<String> {
        // One that does not answer is found elsewhere.
        let status: Value = self.get(name, "/status?brief").ok()?;
        let settling = status.pointer("/jobs/unsettled").and_then(Value::as_u64)?;
        let disk = self.world.disk(*self.hosts.get(name)?);
        let over = |row: &[u8]| {
            let row: Option<Value> = serde_json::from_slice(row).ok();
            // What was only asked for has no receipt to come.
            row.is_some_and(|row| row["state"] != "asked")
        };
        let kept = disk.rows(GATEWAY_JOBS).filter(|(_, row)| over(row)).count() as u64;
        (kept > settling)
            .then(|| format!("{name} has {kept} jobs to settle on its disk, and settles {settling}"))
    }
}
