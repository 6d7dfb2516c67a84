//! What two sweeps were set to otherwise: of their scenarios, with what was changed everywhere, the paths that differ.
//!
//! What was varied is absent: rows are paired by it. So are defaults: who leaves a key out says nothing of it.

use std::collections::BTreeSet;

use serde_json::json;
use toml::{Table, Value};

use crate::results::Manifest;
use crate::scenario::set::{Document, Set, VARIANT};

/// A path that leads to something else in either.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// As `--set` takes it.
    pub path: String,
    /// `None`: it leads nowhere.
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Setting {
    pub(super) fn to_json(&self) -> serde_json::Value {
        let Self { path, before, after } = self;
        json!({ "path": path, "a": before, "b": after })
    }
}

/// In the order of their paths.
///
/// # Errors
/// If a manifest's scenario is none, or can't be changed as it says.
pub(super) fn differing(before: &Manifest, after: &Manifest) -> Result<Vec<Setting>, String> {
    let (left, right) = (document(before, before)?, document(after, before)?);
    let mut found = Vec::new();
    walk(Some(&left), Some(&right), String::new(), &mut found);
    let varied = |path: &str| {
        before
            .paths
            .iter()
            .any(|of| path.strip_prefix(of).is_some_and(|it| it.is_empty() || it.starts_with('.')))
    };
    found.retain(|setting| !varied(&setting.path));
    Ok(found)
}

/// With the first point's values in both, so that a table which one has only because it is varied is no difference.
fn document(of: &Manifest, point: &Manifest) -> Result<Value, String> {
    let always = of.sets.iter().map(|set| set.parse::<Set>());
    let values = point.points.first().map(|point| point.values.as_slice()).unwrap_or_default();
    // A variant is another setting in either, so each is left as its file has it.
    let varied = point.paths.iter().zip(values).filter(|(path, _)| *path != VARIANT);
    let varied = varied.map(|(path, value)| Set::new(path, value));
    let sets: Vec<Set> = always.chain(varied).collect::<Result<_, String>>()?;
    Document::new(of.scenario.clone(), of.text.clone())?.changed(&sets)
}

fn walk(before: Option<&Value>, after: Option<&Value>, path: String, found: &mut Vec<Setting>) {
    if before == after {
        return;
    }
    let within = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (before, after) {
        (Some(Value::Table(left)), Some(Value::Table(right))) => {
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            let of = |table: &Table, key: &str| table.get(key).cloned();
            for key in keys {
                walk(of(left, key).as_ref(), of(right, key).as_ref(), within(key), found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if are_tables(left) && are_tables(right) => {
            for at in 0..left.len().max(right.len()) {
                walk(left.get(at), right.get(at), within(&at.to_string()), found);
            }
        }
        (before, after) => found.push(Setting { path, before: before.cloned(), after: after.cloned() }),
    }
}

/// Others are one value: what stands second in a list of texts is nothing by itself.
fn are_tables(list: &[Value]) -> bool {
    list.iter().all(Value::is_table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::PointOf;

    fn manifest(text: &str, sets: &[&str], path: &str, values: &[&str]) -> Manifest {
        let point = |value: &&str| PointOf { values: vec![(*value).to_owned()], variant: String::new() };
        Manifest {
            text: text.into(),
            sets: sets.iter().map(|set| (*set).to_owned()).collect(),
            paths: vec![path.into()],
            points: values.iter().map(point).collect(),
            ..Manifest::default()
        }
    }

    fn told(before: &Manifest, after: &Manifest) -> Vec<String> {
        let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".into(), Value::to_string);
        let told =
            |Setting { path, before, after }: &Setting| format!("{path} {} {}", value(before), value(after));
        differing(before, after).unwrap().iter().map(told).collect()
    }

    const A: &str = "name = \"a\"\nduration = \"5m\"\n[latency]\nmesh = { constant = \"1ms\" }\n\
                     [[user]]\nname = \"ada\"\ndeposit = \"3\"\n";

    #[test]
    fn what_was_changed_everywhere_is_told_with_both_values() {
        let free = manifest(A, &["fep.fees.fep_bps=0", "user.0.deposit=3"], "duration", &["1m", "2m"]);
        let dear = manifest(A, &["fep.fees.fep_bps=500", "user.0.deposit=4"], "duration", &["1m", "2m"]);
        assert_eq!(told(&free, &dear), ["fep.fees.fep_bps 0 500", "user.0.deposit \"3\" \"4\""]);
        assert_eq!(told(&free, &free), Vec::<String>::new());
    }

    #[test]
    fn two_files_are_told_apart_and_what_both_vary_is_not() {
        let other = "name = \"b\"\nduration = \"9m\"\n[[user]]\nname = \"ada\"\n[[user]]\nname = \"eve\"\n";
        let one = manifest(A, &[], "latency.mesh.constant", &["5ms", "9ms"]);
        let two = manifest(other, &[], "latency.mesh.constant", &["9ms", "5ms"]);
        let wanted = [
            "duration \"5m\" \"9m\"",
            "name \"a\" \"b\"",
            "user.0.deposit \"3\" -",
            "user.1 - { name = \"eve\" }",
        ];
        assert_eq!(told(&one, &two), wanted);
    }
}
