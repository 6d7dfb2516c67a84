//! The line that makes a run once more, to be pasted into a shell.

use std::path::Path;

use crate::scenario::set::Set;

pub fn again(file: &Path, seed: u64, sets: &[Set]) -> String {
    let sets: String = sets.iter().map(|set| format!(" --set {}", quoted(&set.to_string()))).collect();
    format!("labman-sim run {} --seed {seed}{sets}", quoted(&file.display().to_string()))
}

/// As one word of a POSIX shell.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+%@".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
