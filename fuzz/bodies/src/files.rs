//! What is read from disks: journals, rows of the store, config files, scenarios.

use std::collections::BTreeMap;
use std::path::Path;

use labman_node::config;
use labman_proto_core::journal;
use labman_proto_core::machine::Machine;
use labman_proto_core::node::Node;
use labman_proto_core::portal::Portal;
use labman_proto_core::rng::Seed;
use labman_proto_core::store::{Row, Snapshot, Table};
use labman_proto_core::time::{Now, Time, Wall};

use crate::feed::Feed;
use crate::identity;
use crate::node::both_config;
use crate::portal::{portal_config, signers};

/// A journal's records, without their checks: behind those is only who can make them.
pub fn journal(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let mut decoder = journal::Decoder::default();
    for number in 0.. {
        if feed.is_empty() {
            return;
        }
        let body = feed.bytes();
        let framed = journal::frame(number, body).expect("it is short");
        let (prefix, rest) = framed.split_first_chunk().expect("a prefix");
        assert_eq!(journal::body_length(prefix), Some(rest.len()));
        assert!(journal::is_intact(number, prefix, rest) && !journal::is_intact(number + 1, prefix, rest));
        let Ok(record) = decoder.record(body) else { continue };
        // What was read is what was written.
        let mut again = Vec::new();
        match record {
            journal::Record::Header(_) => continue,
            journal::Record::Life(life) => {
                journal::put_life(life.now, life.seed, &life.snapshot, &life.outcome, &mut again)
            }
            journal::Record::Call(call) => {
                journal::put_call(call.now, &call.cause, &mut again);
                journal::put_outcome(&call.outcome, &mut again);
            }
            journal::Record::End => journal::put_end(&mut again),
        }
        assert_eq!(again, body, "a record is not what was written");
    }
}

/// Rows as somebody may have changed them: a machine starts, or says which row it can't read.
pub fn store_rows(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let portal = feed.flag();
    let tables: Vec<Table> = if portal { Portal::TABLES } else { Node::TABLES }.to_vec();
    let live: Vec<Table> = tables.into_iter().filter(|table| table.at_start).collect();
    let mut rows: BTreeMap<(Table, String), Vec<u8>> = BTreeMap::new();
    while !feed.is_empty() {
        let table = *feed.one(&live);
        let key = String::from_utf8_lossy(feed.bytes()).into_owned();
        rows.insert((table, key), feed.bytes().to_vec());
    }
    let rows = rows.into_iter().map(|((table, key), value)| (table, Row { key, value }));
    let snapshot = Snapshot { rows: rows.collect() };
    let now = Now { mono: Time(1), wall: Wall(1_700_000_000_000) };
    let (me, seed) = (identity(1), Seed::from_u64(1));
    if portal {
        if let Ok(mut portal) = Portal::new(portal_config(), signers(), seed, &snapshot, now) {
            wake(&mut portal, now);
        }
    } else if let Ok(mut node) = Node::new(both_config(), me, seed, &snapshot, now) {
        wake(&mut node, now);
    }
}

/// Once, and then an hour later.
fn wake(machine: &mut dyn Machine, now: Now) {
    while machine.poll_output().is_some() {}
    machine.handle_timeout(now);
    while machine.poll_output().is_some() {}
    machine.handle_timeout(Now { mono: Time(3_600_000_000_000), wall: Wall(now.wall.0 + 3_600_000) });
    while machine.poll_output().is_some() {}
}

/// The daemons' TOML: read, or refused with a place that is in the file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("fuzz.toml");
    let mut refusals = Vec::new();
    refusals.extend(config::labmand::Labmand::parse(path, text.into()).err());
    refusals.extend(config::fep::Fep::parse(path, text.into()).err());
    refusals.extend(config::portman::parse_portman(path, text.into()).err());
    for refusal in refusals {
        assert!(refusal.to_string().contains("fuzz.toml:"), "a refusal without a place: {refusal}");
    }
}

/// Scenario files, which people send each other.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match labman_sim::scenario::parse("fuzz.toml", text) {
        Ok(scenario) => drop(scenario.to_toml()),
        Err(bad) => assert!(bad.to_string().starts_with("fuzz.toml"), "a refusal without a place: {bad}"),
    }
}
