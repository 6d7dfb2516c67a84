//! Books judged from the files alone: opens the stores of data directories, and shows what the core's audit says of them.

use std::path::{Path, PathBuf};

use labman_io_tokio::{StoreReader, load_key};
use labman_proto_core::audit::{self, Books, Report};
use labman_proto_core::identity::{FepId, Identity, verify_strict};
use labman_proto_core::node::config::Exposure;
use labman_proto_core::store::StoreError;
use labman_proto_core::wire::object;
use serde_json::{Value, json};

use crate::commands::say;
use crate::daemon::fep_keys::unhex;

/// A FEP's books.
pub fn fep(data_dir: &Path) -> Result<Report, String> {
    audit::fep(&open(data_dir, "counters", "a FEP")?, verify_strict).map_err(told)
}

/// A provider's books: `exposure` is what each FEP may owe.
pub fn provider(data_dir: &Path, exposure: &Exposure) -> Result<Report, String> {
    audit::provider(&open(data_dir, "receipts_open", "a provider")?, verify_strict, exposure).map_err(told)
}

/// A provider's books against those of a FEP, and of the gateways that may bring it receipts.
pub fn between(provider_dir: &Path, fep_dir: &Path, gateway_dirs: &[PathBuf]) -> Result<Report, String> {
    let (fep_id, provider_id) = (fep_id(fep_dir)?, identity(provider_dir)?.node_id());
    // In this order: see `Books`.
    let issued = open(fep_dir, "counters", "a FEP")?;
    let gateways = gateway_dirs.iter().map(|dir| open(dir, "gateway_jobs", "a gateway"));
    let gateways = gateways.collect::<Result<Vec<_>, _>>()?;
    let gateways: Vec<_> = gateways.iter().collect();
    let provider = open(provider_dir, "receipts_open", "a provider")?;
    let decided = open(fep_dir, "counters", "a FEP")?;
    let books = Books { issued: &issued, gateways: &gateways, provider: &provider, decided: &decided };
    audit::between(&books, fep_id, provider_id, verify_strict).map_err(told)
}

/// Prints a report; `Err` if the books do not hold.
pub fn show(report: &Report, as_json: bool) -> Result<(), String> {
    let text = if as_json { format!("{:#}", as_value(report)) } else { for_eyes(report) };
    say(text);
    match report.findings.first() {
        None => Ok(()),
        Some(first) => Err(format!(
            "the books do not hold, first of all {} at {}: keep a copy of the data directory before anything else",
            first.invariant.name(),
            first.place
        )),
    }
}

fn open(data_dir: &Path, table: &str, whose: &str) -> Result<StoreReader, String> {
    let path = data_dir.join("labman.sqlite");
    if !path.exists() {
        return Err(format!("there is no {}: name the data directory of {whose}", path.display()));
    }
    let store = StoreReader::open(&path).map_err(|why| why.to_string())?;
    match store.has(table) {
        true => Ok(store),
        false => Err(format!("{} is not the store of {whose}: name its data directory", path.display())),
    }
}

fn identity(data_dir: &Path) -> Result<Identity, String> {
    let secret = load_key(&data_dir.join("node.key")).map_err(|why| why.to_string())?;
    Ok(Identity::from_secret(&secret))
}

/// As its founding key ring says: whatever network it is of.
fn fep_id(data_dir: &Path) -> Result<FepId, String> {
    let file = data_dir.join("keys.ring");
    let place = |why: String| format!("{}: {why}", file.display());
    let ring = std::fs::read_to_string(&file).map_err(|why| place(why.to_string()))?;
    let ring = unhex(&ring).map_err(place)?;
    object::signer_of(&ring).map(FepId).ok_or_else(|| place("it is not a key ring".into()))
}

fn told(why: StoreError) -> String {
    why.to_string()
}

fn as_value(report: &Report) -> Value {
    let sheets = report.sheets.iter().map(|sheet| {
        let lines =
            sheet.lines.iter().map(|(name, amount)| json!({ "name": name, "amount": decimal(*amount) }));
        json!({ "currency": sheet.currency, "lines": lines.collect::<Vec<_>>(), "sum": decimal(sheet.sum()) })
    });
    let verdicts = report.verdicts().map(|(invariant, looked, broken)| {
        json!({
            "invariant": invariant.name(), "says": invariant.says(), "holds": broken == 0, "looked": looked,
            "broken": broken,
        })
    });
    let findings = report.findings.iter().map(|finding| {
        json!({ "invariant": finding.invariant.name(), "place": finding.place, "what": finding.what })
    });
    json!({
        "holds": report.holds(),
        "sheets": sheets.collect::<Vec<_>>(),
        "verdicts": verdicts.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
    })
}

fn for_eyes(report: &Report) -> String {
    let mut lines = Vec::new();
    for sheet in &report.sheets {
        lines.push(format!("{:<56}{:>24}", "account", sheet.currency.to_string()));
        for (name, amount) in &sheet.lines {
            lines.push(format!("{name:<56}{:>24}", decimal(*amount)));
        }
        lines.push(format!("{:<56}{:>24}\n", "sum", decimal(sheet.sum())));
    }
    for (invariant, looked, broken) in report.verdicts() {
        let verdict = match broken {
            0 => format!("holds, {looked} times"),
            _ => format!("BROKEN, {broken} of {looked} times"),
        };
        lines.push(format!("{:<5}{:<84}{verdict}", invariant.name(), invariant.says()));
    }
    if report.verdicts().next().is_none() {
        lines.push("These books are empty.".to_string());
    }
    for finding in &report.findings {
        lines.push(format!("{:<5}{}: {}", finding.invariant.name(), finding.place, finding.what));
    }
    lines.join("\n")
}

/// Micro-units as people write them, however many.
fn decimal(micros: i128) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let whole = micros.unsigned_abs();
    format!("{sign}{}.{:06}", whole / 1_000_000, whole % 1_000_000)
}
