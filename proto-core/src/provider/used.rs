//! Authorizations that were used, until nobody can show them again: some quarter of an hour of work. Most have their receipt; the few
//! that have not are what a FEP may come to owe, which is asked for at each job.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
};

use super::rows::{AuthKey, AuthorizationRow, Owed};

#[derive(Default)]
pub(super) struct Used {
    /// A map has many places for each, which are small so.
    rows: BTreeMap<AuthKey, Box<AuthorizationRow>>,
    /// Those of them whose receipt has not come.
    awaited: BTreeSet<AuthKey>,
}

impl Used {
    /// It is new, or something is new about it.
    pub(super) fn insert(&mut self, row: AuthorizationRow) {
        let key = row.key();
        if row.receipt == Owed::Awaited {
            self.awaited.insert(key);
        } else {
            self.awaited.remove(&key);
        }
        self.rows.insert(key, Box::new(row));
    }

    /// Its receipt has come, or none is to come any more.
    pub(super) fn settle(&mut self, key: &AuthKey, receipt: Owed) -> Option<&mut AuthorizationRow> {
        let row = self.rows.get_mut(key)?;
        self.awaited.remove(key);
        row.receipt = receipt;
        Some(row)
    }

    pub(super) fn remove(&mut self, key: &AuthKey) -> Option<AuthorizationRow> {
        self.awaited.remove(key);
        self.rows.remove(key).map(|row| *row)
    }

    pub(super) fn get(&self, key: &AuthKey) -> Option<&AuthorizationRow> {
        self.rows.get(key).map(|row| &**row)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&AuthKey, &AuthorizationRow)> {
        self.rows.iter().map(|(key, row)| (key, &**row))
    }

    /// Whose receipt has not come, in the order of their keys.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &AuthorizationRow> {
        self.awaited.iter().filter_map(|key| self.get(key))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
