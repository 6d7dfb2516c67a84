//! A claim made, and one decided, where a million receipts are stored: how long from the process's start, and in how much
//! memory. Each in a process of its own, so that memory is its own.

use std::path::Path;

use labman_proto_core::economics::Fees;
use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::limits::{CLAIM_RECEIPTS, GATEWAYS_PAID_EVERY};
use labman_proto_core::machine::{Input, Machine, Output, StreamId};
use labman_proto_core::node::Node;
use labman_proto_core::portal::Portal;
use labman_proto_core::portal::config::{Config, Rails};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::{Now, Span};
use labman_proto_core::wire::ids::ReceiptId;
use serde_json::{Value, json};

use crate::mesh::rig as mesh;
use crate::table::Line;
use crate::till::rig::{self as till, PROVIDER};
use crate::{Tried, child, fill, provider, runtime, watched};

const MANY: u64 = 1_000_000;
const FEW: u64 = 10_000;
/// Unclaimed beside the paid ones.
const SOME: u64 = 1_000;
const ANSWER: StreamId = StreamId(1);

/// Which store: so many receipts that are done with, and so many that nobody has claimed.
#[derive(Clone, Copy)]
struct Held {
    done: u64,
    open: u64,
}

pub(crate) fn lines(disk: &Path) -> Tried<Vec<Line>> {
    let provider = line(disk, "provider", "claim built at a provider of 1,000,000 receipts", "paid")?;
    Ok(vec![provider, line(disk, "portal", "claim decided at a portal of 1,000,000 receipts", "issued")?])
}

/// What is the same but for how many receipts lie there.
struct Grown {
    took_s: f64,
    /// At the peak, beyond what few need.
    kib: f64,
}

fn of(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or_default()
}

impl Grown {
    fn between(few: &Value, many: &Value) -> Self {
        Self { took_s: of(many, "took_ms") / 1e3, kib: of(many, "peak_kib") - of(few, "peak_kib") }
    }

    /// What an allocator does with the same work twice is no growth.
    fn meets_its_goal(&self) -> bool {
        self.took_s < 10.0 && self.kib < 2048.0
    }

    fn text(&self) -> String {
        format!("{:.2} s, {:+.1} MiB", self.took_s, self.kib / 1024.0)
    }
}

fn line(disk: &Path, who: &str, what: &'static str, done: &str) -> Tried<Line> {
    let few = run(disk, who, Held { done: FEW, open: SOME })?;
    let many = run(disk, who, Held { done: MANY, open: SOME })?;
    let open_few = run(disk, who, Held { done: 0, open: FEW })?;
    let open_many = run(disk, who, Held { done: 0, open: MANY })?;
    let (paid, open) = (Grown::between(&few, &many), Grown::between(&open_few, &open_many));
    let mib = |figures: &Value, name: &str| of(figures, name) / 1024.0;
    let each = |few: &Value, many: &Value| {
        (of(many, "file_kib") - of(few, "file_kib")) * 1024.0 / (MANY - FEW) as f64
    };
    let note = |what: &str, few: &Value, many: &Value| {
        format!(
            "{what}: {:.2} s from opening the store, peak {:.1} MiB (of {FEW}: {:.2} s, {:.1} MiB); the file has {:.0} MiB, \
             {:.0} bytes a receipt",
            of(many, "took_ms") / 1e3,
            mib(many, "peak_kib"),
            of(few, "took_ms") / 1e3,
            mib(few, "peak_kib"),
            mib(many, "file_kib"),
            each(few, many)
        )
    };
    Ok(Line {
        what,
        goal: "< 10 s, memory flat",
        measured: format!("{}; all of them unclaimed: {}", paid.text(), open.text()),
        met: paid.meets_its_goal() && open.meets_its_goal(),
        notes: vec![
            note(&format!("{MANY} {done}, {SOME} unclaimed"), &few, &many),
            note(&format!("{MANY} unclaimed"), &open_few, &open_many),
        ],
        figures: json!({ "few": few, "many": many, "open_few": open_few, "open_many": open_many }),
    })
}

fn run(disk: &Path, who: &str, held: Held) -> Tried<Value> {
    let dir = tempfile::tempdir_in(disk)?;
    let path = dir.path().join("store.sqlite");
    let runtime = runtime()?;
    match who {
        "provider" => runtime.block_on(fill_provider(&path, held))?,
        _ => runtime.block_on(fill_portal(&path, held))?,
    }
    // Else the first commit would wait for all that was filled in.
    let filled = std::fs::File::open(&path)?;
    filled.sync_all()?;
    let file = filled.metadata()?.len() / 1024;
    let mut figures = child(&[who.into(), path.into()])?;
    figures["file_kib"] = file.into();
    Ok(figures)
}

/// As a receipt's id is written.
fn id(number: u64) -> String {
    hex::encode(receipt_id(number).0)
}

fn receipt_id(number: u64) -> ReceiptId {
    ReceiptId(u128::from(number).to_be_bytes())
}

async fn fill_provider(path: &Path, held: Held) -> Tried<()> {
    let batch = provider::receipts(1).remove(0);
    let row = |table: &str| -> Tried<(String, String)> {
        let row = batch.iter().find_map(|write| provider::put(write, table)).ok_or("no such row")?;
        Ok((row.key.clone(), String::from_utf8(row.value.clone())?))
    };
    let (key, open) = row("receipts_open")?;
    let (_, real) = key.rsplit_once('-').ok_or("a receipt's key")?;
    let named = |text: &str, number: u64| text.replace(real, &id(number));
    let mut paid: Value = serde_json::from_str(&open)?;
    paid["state"] = "paid".into();
    paid["claim_id"] = "0".repeat(32).into();
    let paid = paid.to_string();
    let mut store = fill::empty(path, Node::TABLES).await?;
    for table in ["receipts_open", "receipts_unclaimed"] {
        let (key, value) = row(table)?;
        let rows = (0..held.open).map(|number| (named(&key, number), named(&value, number)));
        fill::rows(&mut store, table, rows)?;
    }
    let rows = (held.open..held.open + held.done).map(|number| (named(&key, number), named(&paid, number)));
    fill::rows(&mut store, "receipts_paid", rows)?;
    let (key, sums) = row("receipts_sums")?;
    let mut sums: Value = serde_json::from_str(&sums)?;
    let payout = sums["unclaimed"]["sum"].as_u64().ok_or("a sum")?;
    sums["unclaimed"] = json!({ "count": held.open, "sum": held.open * payout });
    fill::rows(&mut store, "receipts_sums", [(key, sums.to_string())])?;
    let (key, numbers) = row("receipt_numbers")?;
    let mut numbers: Value = serde_json::from_str(&numbers)?;
    numbers["numbers"] = json!({ "1": held.open + held.done });
    Ok(fill::rows(&mut store, "receipt_numbers", [(key, numbers.to_string())])?)
}

async fn fill_portal(path: &Path, held: Held) -> Tried<()> {
    let (rig, receipts) = crate::till::issued(1);
    let real = hex::encode(receipts.first().ok_or("no receipt")?.id.0);
    let mut store = fill::empty(path, Portal::TABLES).await?;
    for (table, row) in rig.disk.all() {
        let mut value: Value = serde_json::from_slice(&row.value)?;
        match table.name {
            "balances" if row.key.contains(" provider:") => value["balance"] = 1_000_000_000_000_i64.into(),
            "counters" => value["receipts"] = (held.open + held.done).into(),
            "providers" => value["sequence"] = (held.open + held.done).into(),
            _ => {}
        }
        fill::rows(&mut store, table.name, [(row.key.clone(), value.to_string())])?;
        let text = value.to_string();
        match table.name {
            "earned" => {
                let (provider, _) = row.key.split_once('/').ok_or("a provider's key")?;
                let rows = (0..held.open + held.done).map(|number| {
                    value["sequence"] = (number + 1).into();
                    (format!("{provider}/{}", id(number)), value.to_string())
                });
                fill::rows(&mut store, table.name, rows)?;
                // Of 32 numbers each, as the portal writes them.
                let (first, last) = (held.open + 1, held.open + held.done);
                let pages = (first / 32..=last / 32).filter(|_| held.done > 0).map(|page| {
                    let run = json!([first.max(32 * page), last.min(32 * page + 31), "0".repeat(32)]);
                    (format!("{provider}/{page:020}"), json!({ "runs": [run] }).to_string())
                });
                fill::rows(&mut store, "claimed", pages)?;
            }
            "issued" => {
                let (provider, _) = row.key.split_once('/').ok_or("a provider's key")?;
                let rows = (1..=held.open + held.done).map(|number| {
                    (format!("{provider}/{number:020}"), json!({ "number": number }).to_string())
                });
                fill::rows(&mut store, table.name, rows)?;
            }
            "receipts" => {
                let rows = (0..held.open + held.done)
                    .map(|number| (format!("{:020}", number + 1), text.replace(&real, &id(number))));
                fill::rows(&mut store, table.name, rows)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A node whose period is over at once makes its claim, stores it and turns to its FEP.
pub(crate) fn provider(path: &Path) -> Tried<Value> {
    let mut config = mesh::provider_config();
    if let Some(provider) = &mut config.provider {
        provider.claim_every = Span::from_millis(1);
    }
    let make = move |snapshot: &_, now| {
        Node::new(config.clone(), mesh::identity(mesh::NODE), Seed::from_u64(1), snapshot, now)
    };
    let claims =
        |output: &Output| matches!(output, Output::Request { head, .. } if head.path == "/v1/claims");
    runtime()?.block_on(watched::watch(path, Node::TABLES, make, None, claims))
}

/// A portal that is shown a whole claim decides it.
pub(crate) fn portal(path: &Path) -> Tried<Value> {
    let make = |snapshot: &_, now| {
        let fees = Fees { fep_bps: 100, gateway_bps: 400 };
        let currency = till::payout_to("address").currency;
        let config = Config {
            network: "test".into(),
            currency,
            fees,
            rails: Rails::default(),
            gateways_paid_every: GATEWAYS_PAID_EVERY,
        };
        Portal::new(config, till::signers(&till::founding()), Seed::from_u64(1), snapshot, now)
    };
    let answered = |output: &Output| match output {
        Output::Response { stream: ANSWER, head } => {
            assert_eq!(head.status, 200, "the claim is decided");
            true
        }
        _ => false,
    };
    runtime()?.block_on(watched::watch(path, Portal::TABLES, make, Some(claim), answered))
}

fn claim(portal: &mut Portal, now: Now) {
    let ids = (0..CLAIM_RECEIPTS as u64).map(receipt_id).collect();
    // 55 micros a receipt of 10 and 7 tokens.
    let body = till::seal(PROVIDER, till::claim(1, 55 * CLAIM_RECEIPTS as i64, ids));
    let head = RequestHead::new("POST", "/v1/claims");
    portal.handle(now, Input::Request { stream: ANSWER, surface: Surface::Public, head });
    portal.handle(now, Input::Bytes { stream: ANSWER, bytes: &body });
    portal.handle(now, Input::Finished { stream: ANSWER });
}
