//! Books judged from their rows alone: what an operator's check, the simulator and the tests of crashes ask of a store, whether
//! or not its daemon runs.
//!
//! ```text
//!   Reader (a store as it was at one moment) --rows, table by table--> fep | provider | between --> Report
//! ```
//!
//! An audit walks each table once and looks single rows of others up. It holds what live tables hold, which are small by
//! design, and sums by account, provider and claim; of history it holds nothing. It decides nothing and repairs nothing.
//!
//! Absent: what only time can tell (whether money that is on its way arrives), and prices of jobs that the FEP has settled:
//! it keeps no offers, so that a bill is worked out again where the provider still has one.

mod between;
mod report;

use alloc::format;
use alloc::string::{String, ToString};

use serde::de::DeserializeOwned;

pub use between::{Books, between};
pub(crate) use report::Tally;
pub use report::{Finding, Invariant, Report, Sheet};

pub use crate::portal::audit::audit as fep;
pub use crate::provider::audit::audit as provider;

use crate::identity::{NetId, Network, Verify};
use crate::keys::{BadPaper, Keys, OfFep};
use crate::store::{Row, Table};
use crate::wire::object::{self, BadObject, Object, Sealed};

/// A store that is only read, all of it as it was at one moment.
pub trait Reader {
    type Error;

    /// Each row of a table whose key begins so, in key order. A table that is not there has none.
    fn each_within(
        &self,
        table: Table,
        prefix: &str,
        see: &mut dyn FnMut(Row) -> Result<(), Self::Error>,
    ) -> Result<(), Self::Error>;

    /// Each row of a table.
    fn each(
        &self,
        table: Table,
        see: &mut dyn FnMut(Row) -> Result<(), Self::Error>,
    ) -> Result<(), Self::Error> {
        self.each_within(table, "", see)
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Row>, Self::Error>;
}

/// Where an audit works: the store, how its signatures are checked, and what was found so far.
pub(crate) struct Desk<'a, R: Reader> {
    store: &'a R,
    verify: Verify,
    pub(crate) report: Report,
}

impl<'a, R: Reader> Desk<'a, R> {
    pub(crate) fn new(store: &'a R, verify: Verify) -> Self {
        Self { store, verify, report: Report::default() }
    }

    /// Each row of the table that can be read; one that can't is a finding.
    pub(crate) fn each<T: DeserializeOwned>(
        &mut self,
        table: Table,
        mut see: impl FnMut(&mut Self, &str, T) -> Result<(), R::Error>,
    ) -> Result<(), R::Error> {
        let store = self.store;
        store.each(table, &mut |row| match self.parsed(table, &row) {
            Some(parsed) => see(self, &row.key, parsed),
            None => Ok(()),
        })
    }

    /// Only rows whose keys begin so.
    pub(crate) fn each_within<T: DeserializeOwned>(
        &mut self,
        table: Table,
        prefix: &str,
        mut see: impl FnMut(&mut Self, &str, T) -> Result<(), R::Error>,
    ) -> Result<(), R::Error> {
        let store = self.store;
        store.each_within(table, prefix, &mut |row| match self.parsed(table, &row) {
            Some(parsed) => see(self, &row.key, parsed),
            None => Ok(()),
        })
    }

    /// Only rows that have this text in them: of long tables most are of others, and to look costs a tenth of reading. One that
    /// can't be read and has it nowhere is left to a look at the whole table.
    pub(crate) fn each_naming<T: DeserializeOwned>(
        &mut self,
        table: Table,
        name: &str,
        mut see: impl FnMut(&mut Self, T) -> Result<(), R::Error>,
    ) -> Result<(), R::Error> {
        let (store, name) = (self.store, memchr::memmem::Finder::new(name));
        store.each(table, &mut |row| match name.find(&row.value) {
            Some(_) => self.parsed(table, &row).map_or(Ok(()), |parsed| see(self, parsed)),
            None => Ok(()),
        })
    }

    /// The rows as they are: what reads them says itself which it can't.
    pub(crate) fn rows(&self, table: Table, mut see: impl FnMut(Row)) -> Result<(), R::Error> {
        self.store.each(table, &mut |row| {
            see(row);
            Ok(())
        })
    }

    pub(crate) fn get<T: DeserializeOwned>(
        &mut self,
        table: Table,
        key: &str,
    ) -> Result<Option<T>, R::Error> {
        let row = self.store.get(table, key)?;
        Ok(row.and_then(|row| self.parsed(table, &row)))
    }

    pub(crate) fn has(&self, table: Table, key: &str) -> Result<bool, R::Error> {
        Ok(self.store.get(table, key)?.is_some())
    }

    fn parsed<T: DeserializeOwned>(&mut self, table: Table, row: &Row) -> Option<T> {
        let parsed = row.parse(table);
        let what = || parsed.as_ref().err().map(|bad| bad.what.clone()).unwrap_or_default();
        self.report.must(Invariant::Rows, parsed.is_ok(), place(table, &row.key), what);
        parsed.ok()
    }

    /// A FEP's paper in a row, if it is signed by a key of that FEP's; if not, that is a finding.
    pub(crate) fn paper<T: OfFep>(
        &mut self,
        table: Table,
        key: &str,
        keys: Option<&Keys>,
        bytes: &[u8],
    ) -> Option<Sealed<T>> {
        let opened = open(self.verify, None, bytes).map_err(|bad| bad.to_string()).and_then(|paper| {
            let signed = keys.map_or(Err(BadPaper::NoKeys), |keys| keys.bound_once(&paper));
            signed.map(|()| paper).map_err(|bad| bad.to_string())
        });
        self.found(table, key, opened)
    }

    /// A paper in a row by that signer, if its signature holds; if not, that is a finding.
    pub(crate) fn paper_by<T: Object>(
        &mut self,
        table: Table,
        key: &str,
        signer: [u8; 32],
        bytes: &[u8],
    ) -> Option<Sealed<T>> {
        let opened = open(self.verify, Some(signer), bytes).map_err(|bad| bad.to_string());
        self.found(table, key, opened)
    }

    /// The keys of a FEP, where a store keeps them; what is none is a finding.
    pub(crate) fn keys<E: ToString>(
        &mut self,
        table: Table,
        key: &str,
        bytes: &[u8],
        open: impl FnOnce(Network, &[u8]) -> Result<Keys, E>,
    ) -> Option<Keys> {
        let network = network(self.verify, bytes).map_err(|bad| bad.to_string());
        let keys = network.and_then(|network| open(network, bytes).map_err(|bad| bad.to_string()));
        self.found(table, key, keys)
    }

    fn found<T>(&mut self, table: Table, key: &str, found: Result<T, String>) -> Option<T> {
        let what = || found.as_ref().err().cloned().unwrap_or_default();
        self.report.must(Invariant::Rows, found.is_ok(), place(table, key), what);
        found.ok()
    }

    /// The same where its signature is checked elsewhere.
    pub(crate) fn checked_paper<T: Object>(&self, bytes: &[u8]) -> Option<Sealed<T>> {
        open(|_, _, _| true, None, bytes).ok()
    }
}

/// How a finding names a row.
pub(crate) fn place(table: Table, key: &str) -> impl Fn() -> String {
    move || format!("{} {key}", table.name)
}

fn open<T: Object>(verify: Verify, signer: Option<[u8; 32]>, bytes: &[u8]) -> Result<Sealed<T>, BadObject> {
    object::open(network(verify, bytes)?, signer, bytes)
}

/// A store does not say which network it is of: its papers do.
fn network(verify: Verify, bytes: &[u8]) -> Result<Network, BadObject> {
    let net_id = bytes.get(NET_ID).and_then(|id| id.try_into().ok()).ok_or(BadObject::Length)?;
    Ok(Network::known_by(NetId(net_id), verify))
}

/// Where a signed object has its network's id.
const NET_ID: core::ops::Range<usize> = 3..11;
