//! Golden vectors: bytes, and what every implementation of protocol.md must say to them. The JSON files in this directory
//! are the truth; `check.py` holds them against protocol.md, by code that shares nothing with ours.
//!
//! ```text
//! make/*.rs  --BLESS=1-->  *.json  <--agrees-->  check.rs (our decoders)
//!                                  <--agrees-->  check.py (protocol.md alone)
//! ```
//!
//! **How to add vectors of a new message**
//!
//! 1. protocol.md has the message already: its row in the table of kinds, its CDDL rule (`NewMessage` is `new-message`).
//! 2. `samples.rs`: a function that makes one, and a line in `MESSAGES` (in `OBJECTS`, for a signed object). That alone
//!    gives about eight vectors: a good one, unknown and critical keys, missing and wrong fields, bytes behind it.
//! 3. `check.rs`: its line in `fields` (in `object`, for a signed object). The compiler asks for it.
//! 4. What only this message must refuse or tolerate: a few lines in the file of `make/` that has its theme.
//! 5. `BLESS=1 cargo test -p labman-proto-core --test vectors`, then `proto-core/tests/vectors/check.py`, and read the diff:
//!    a vector that was there before must not change.
//!
//! A vector that is to be refused breaks one rule and no other, so that it does not matter in which order rules are asked.

mod check;
mod craft;
mod format;
mod keys;
mod make;
mod receiver;
mod samples;

use std::collections::BTreeSet;

use format::{File, Vector, Verdict, pack};

fn all() -> Vec<(&'static str, File)> {
    make::FILES.iter().map(|(name, _)| (*name, File::read(name))).collect()
}

#[test]
fn the_files_are_what_the_generator_makes() {
    let bless = std::env::var_os("BLESS").is_some();
    for (name, make) in make::FILES {
        let made = make();
        if bless {
            made.write(name);
        }
        assert!(
            made == File::read(name),
            "{name}.json is out of date: run this test with BLESS=1, read the diff"
        );
    }
}

#[test]
fn our_code_says_what_every_vector_expects() {
    if std::env::var_os("BLESS").is_some() {
        return; // They are being written.
    }
    let mut wrong = Vec::new();
    for (name, file) in all() {
        for vector in &file.vectors {
            let said = check::verdict(vector);
            if !agrees(&said, &vector.expect) {
                wrong.push(format!("{name}: {}: {said:?}", vector.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A node does not say which of its rules a record breaks.
pub(crate) fn agrees(said: &Verdict, expected: &Verdict) -> bool {
    match (said, expected) {
        (Verdict::Reject(said), Verdict::Reject(rule)) if said == "record" => rule.starts_with("record."),
        _ => said == expected,
    }
}

#[test]
fn there_are_enough_and_half_of_them_are_to_be_refused() {
    let files = all();
    let vectors: Vec<&Vector> = files.iter().flat_map(|(_, file)| &file.vectors).collect();
    let refused = vectors.iter().filter(|vector| matches!(vector.expect, Verdict::Reject(_))).count();
    assert!(vectors.len() >= 200, "{}", vectors.len());
    assert!(refused * 2 >= vectors.len(), "{refused} of {}", vectors.len());
    for (name, file) in &files {
        let names: BTreeSet<_> = file.vectors.iter().map(|vector| &vector.name).collect();
        assert_eq!(names.len(), file.vectors.len(), "{name}: two vectors of one name");
    }
}

#[test]
fn every_rule_that_protocol_md_names_is_broken_by_a_vector_and_no_other() {
    let protocol =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol.md")).expect("it is there");
    let (_, table) = protocol.split_once("\n| rule | broken by |\n").expect("section 14 has the table");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let rows = rows.filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let named: BTreeSet<String> = rows.map(|(rule, _)| rule.to_owned()).collect();
    let files = all();
    let broken = files.iter().flat_map(|(_, file)| &file.vectors).filter_map(|vector| match &vector.expect {
        Verdict::Reject(rule) => Some(rule.clone()),
        Verdict::Accept(_) => None,
    });
    assert_eq!(broken.collect::<BTreeSet<_>>(), named);
}

/// Requirement 3 of the mesh.
#[test]
fn every_byte_of_every_golden_frame_flipped_is_refused() {
    let mut frames = 0;
    for (_, file) in all() {
        for vector in file.vectors.iter().filter(|vector| matches!(vector.expect, Verdict::Accept(_))) {
            // What carries a signature; nothing else can be told from a good one.
            if !matches!(
                vector.what.as_str(),
                "directed" | "record" | "object" | "ring" | "paper" | "signature"
            ) {
                continue;
            }
            frames += 1;
            let good = vector.bytes();
            // Of a long one, which is padded, the ends and a sample of what is between.
            let ends = |at: &usize| *at < 1_024 || at + 1_024 > good.len() || at.is_multiple_of(97);
            for at in (0..good.len()).filter(ends) {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << (at % 8);
                let bent = check::without_a_node(&Vector { input: pack(&bytes), ..vector.clone() });
                assert!(matches!(bent, Verdict::Reject(_)), "{}: byte {at}", vector.name);
            }
        }
    }
    assert!(frames >= 60, "{frames}");
}
