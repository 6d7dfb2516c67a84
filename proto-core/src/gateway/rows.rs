//! What a gateway keeps on disk: a row a job, from before the FEP is asked until its receipt is acknowledged.

use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use crate::economics::{Fees, Price, Rate, bill};
use crate::identity::NodeId;
use crate::store::{Row, Table, Write};
use crate::time::Wall;
use crate::wire::ids::AuthId;
use crate::wire::ids::RequestId;
use crate::wire::portal::Receipt;

pub(crate) const TABLE: Table = Table::live("gateway_jobs");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct JobRow {
    pub(super) state: JobState,
    pub(super) since_ms: u64,
    pub(super) auth_id: Option<AuthId>,
    pub(super) provider: Option<NodeId>,
    /// By which the receipt is to be worked out, where something was delivered.
    pub(super) terms: Option<Terms>,
    /// The signed usage report, hex.
    pub(super) report: Option<String>,
    /// The FEP's signed receipt, hex.
    pub(super) receipt: Option<String>,
}

/// What makes a charge of counts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) price: Price,
    pub(super) fees: Fees,
    /// That was pinned.
    pub(super) rate: Rate,
}

impl Terms {
    pub(super) fn make(&self, receipt: &Receipt) -> bool {
        let bill = bill(&self.price, &self.fees, self.rate, &receipt.settled);
        receipt.rate == self.rate && bill.is_some_and(|bill| bill.charge == receipt.charge)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JobState {
    /// The FEP is being asked, or the job runs.
    Asked,
    /// It ended; the FEP is to be told.
    Ended,
    /// The receipt is to be delivered.
    Receipted,
}

pub(super) fn asked(id: RequestId, now: Wall) -> Write {
    let state = JobState::Asked;
    let row = JobRow {
        state,
        since_ms: now.0,
        auth_id: None,
        provider: None,
        terms: None,
        report: None,
        receipt: None,
    };
    put(id, &row)
}

pub(super) fn put(id: RequestId, row: &JobRow) -> Write {
    Write::Put(TABLE, Row::json(id.to_string(), row))
}

pub(super) fn delete(id: RequestId) -> Write {
    Write::Delete(TABLE, id.to_string())
}
