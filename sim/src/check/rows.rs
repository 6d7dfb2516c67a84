//! Everybody's rows, by the audit that an operator runs over files: so that it is right about all that honest daemons write,
//! whatever happens to them.

use std::convert::Infallible;

use labman_proto_core::audit::{self, Books, Reader, Report};
use labman_proto_core::identity::{FepId, NodeId, Verify};
use labman_proto_core::node::config::Exposure;
use labman_proto_core::store::{Row, Table};

use crate::disk::Disk;

impl Reader for Disk {
    type Error = Infallible;

    fn each_within(
        &self,
        table: Table,
        prefix: &str,
        see: &mut dyn FnMut(Row) -> Result<(), Infallible>,
    ) -> Result<(), Infallible> {
        let rows = self.rows_within(table, prefix);
        rows.map(|(key, value)| Row { key: key.into(), value: value.into() }).try_for_each(see)
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Row>, Infallible> {
        Ok(self.row(table, key).map(|value| Row { key: key.into(), value: value.into() }))
    }
}

pub fn check_fep(fep: &Disk, verify: Verify) -> Vec<String> {
    let Ok(report) = audit::fep(fep, verify);
    lines(&report)
}

/// All disks are of one moment.
pub fn check_provider(
    provider: &Disk,
    fep: &Disk,
    gateways: &[&Disk],
    (fep_id, provider_id): (FepId, NodeId),
    verify: Verify,
    exposure: &Exposure,
) -> Vec<String> {
    let Ok(mut report) = audit::provider(provider, verify, exposure);
    let books = Books { issued: fep, gateways, provider, decided: fep };
    let Ok(between) = audit::between(&books, fep_id, provider_id, verify);
    report.join(between);
    lines(&report)
}

fn lines(report: &Report) -> Vec<String> {
    let line = |finding: &audit::Finding| {
        format!("{} in its rows: {}: {}", finding.invariant.name(), finding.place, finding.what)
    };
    report.findings.iter().map(line).collect()
}
