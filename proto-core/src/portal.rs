//! A Front-End Portal: users, keys, balances, holds, receipts, claims and payouts, on a double-entry ledger.

pub mod config;
