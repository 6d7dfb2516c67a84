//! Every way in which one row can be wrong: it is gone, or one of the values in it is another.

use labman_proto_core::store::{Row, Table, Write};
use serde_json::Value;

use super::store::Disk;

/// Each disk that differs from this one in one place of these tables, with the place. What is said to be
/// `unjudged`, by a part of `table/field/...`, stays.
pub(crate) fn all(disk: &Disk, tables: &[Table], unjudged: &[&str]) -> Vec<(String, Disk)> {
    let mut twisted = Vec::new();
    for table in tables {
        for (key, row) in disk.rows(table.name) {
            let mut without = disk.clone();
            without.apply(&[Write::Delete(*table, key.clone())]).unwrap();
            twisted.push((format!("{} {key} is gone", table.name), without));
            for pointer in leaves(&row) {
                let path = format!("{}{pointer}/", table.name);
                if unjudged.iter().any(|part| path.contains(part)) {
                    continue;
                }
                let mut other = row.clone();
                let value = other.pointer_mut(&pointer).unwrap();
                *value = another(value);
                let mut disk = disk.clone();
                disk.apply(&[Write::Put(*table, Row::json(key.clone(), &other))]).unwrap();
                twisted.push((format!("{} {key} has another {pointer}", table.name), disk));
            }
        }
    }
    twisted
}

/// JSON pointers to all that is no object and no array.
fn leaves(value: &Value) -> Vec<String> {
    let under = |name: String, value: &Value| {
        leaves(value).into_iter().map(move |rest| format!("/{name}{rest}")).collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) => fields.iter().flat_map(|(name, value)| under(name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(at, value)| under(at.to_string(), value)).collect()
        }
        _ => vec![String::new()],
    }
}

/// A value of the same kind, which may well be read.
fn another(value: &Value) -> Value {
    match value {
        Value::Number(number) => (number.as_i64().unwrap_or(0) + 1).into(),
        // The last but one: an id in base58 stays 32 bytes long.
        Value::String(text) if text.len() > 1 => {
            let at = text.len() - 2;
            let other = if text.as_bytes()[at] == b'2' { "3" } else { "2" };
            format!("{}{other}{}", &text[..at], &text[at + 1..]).into()
        }
        Value::Bool(is) => (!is).into(),
        Value::Null | Value::String(_) | Value::Object(_) | Value::Array(_) => "other".into(),
    }
}
