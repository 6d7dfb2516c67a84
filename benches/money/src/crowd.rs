//! Many authorizations at once on an account that can pay for some of them.

use std::collections::BTreeMap;

use labman_proto_core::http::Surface;
use labman_proto_core::money::Micros;
use serde_json::json;

use crate::table::Line;
use crate::till::authorize;
use crate::till::rig::Rig;

const AT_ONCE: u64 = 1000;
/// What one holds, in micros: the tests' job at its bounds.
const HOLD: i64 = 735;
const COVERED: i64 = 300;

pub(crate) fn line() -> Line {
    // Not quite one more.
    let balance = COVERED * HOLD + HOLD - 1;
    let (mut rig, key) = Rig::with_user(&Micros(balance).to_string());
    let bodies: Vec<_> = (0..AT_ONCE).map(|number| authorize(&rig, &key, number)).collect();
    let mut lowest = i64::MAX;
    let mut streams = Vec::new();
    for body in &bodies {
        streams.push(rig.begin_post("/v1/authorize", body));
        lowest = lowest.min(least(&mut rig));
    }
    while rig.step() {
        lowest = lowest.min(least(&mut rig));
    }
    let mut answers: BTreeMap<u16, i64> = BTreeMap::new();
    for stream in streams {
        let status = rig.reply(stream).expect("everybody is answered").status;
        *answers.entry(status).or_default() += 1;
    }
    rig.crash();
    lowest = lowest.min(least(&mut rig));
    let granted = answers.get(&200).copied().unwrap_or_default();
    let left = rig.balance("user:u000001");
    let all_refused = answers.get(&402).copied().unwrap_or_default() == AT_ONCE as i64 - COVERED;
    Line {
        what: "1,000 authorizations at once, 300 covered",
        goal: "300, never below 0",
        measured: format!("{granted}, lowest {lowest} micros"),
        met: granted == COVERED && all_refused && lowest >= 0 && left == balance - COVERED * HOLD,
        notes: vec![format!(
            "all asked before the store had done anything; answers by status: {answers:?}; {left} micros are left, \
             of {balance}; balances looked at after every call, every write and a restart"
        )],
        figures: json!({ "granted": granted, "answers": answers, "lowest": lowest, "left": left }),
    }
}

/// The user's balance or what is held, whichever is less; without anything happening meanwhile.
fn least(rig: &mut Rig) -> i64 {
    let stream = rig.begin(Surface::Admin, "GET", "/ledger", &[]);
    let ledger = rig.reply(stream).expect("the ledger is in memory").json();
    assert_eq!(ledger["balanced"], true, "{ledger}");
    let accounts = ledger["accounts"].as_array().expect("accounts").iter();
    let own = accounts.filter(|line| line["account"].as_str().is_some_and(|name| name.ends_with(":u000001")));
    let balances = own.filter_map(|line| line["balance"].as_str()?.parse::<Micros>().ok());
    balances.map(|balance| balance.0).min().expect("a user")
}
