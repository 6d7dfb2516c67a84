//! A machine's journal: all that went into it, so that a fresh machine of the same kind can be led through it again and
//! must say the same.
//!
//! ```text
//!   file    = MAGIC  *record
//!   record  = length (4)  check (8)  body          the check covers the record's number and its body
//!   body    = Header                               once for each process
//!           | Life                                 a machine was made
//!           | Call                                 it was told something, or woken
//!           | End                                  its process ended in order
//! ```
//!
//! Numbers are little-endian and fixed; bytes and lists have their length in front. Each [`Life`] and [`Call`] ends in an
//! [`Outcome`]: the signatures the machine made meanwhile, whether it failed, and the hash of all that it has said in this
//! life ([`Tally`]). So a journal that is cut off anywhere can still be checked up to its last whole record, and one that
//! diverges does so at a record.
//!
//! A journal holds prompts, tokens and the seed that API keys were drawn from; never a signing key. What is absent: files
//! (a driver writes, the simulator reads), and a decoder of outputs, of which only the hash is kept.

mod code;
mod machine;
#[cfg(test)]
mod tests;

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::identity::{FepKey, NodeId};
use crate::machine::{Input, Machine, Output};
use crate::node::{self, Node};
use crate::portal::{self, Portal};
use crate::portman;
use crate::rng::Seed;
use crate::store::{Snapshot, Table};
use crate::time::Now;

pub use code::Bad;
use code::{Bytes, Code};

/// What a journal begins with. The number is that of the format.
pub const MAGIC: &[u8; 16] = b"labman journal4\n";
/// Bytes before each record's body.
pub const PREFIX: usize = 12;
/// A record's body, in bytes. A larger one can't be written, and is refused by whoever reads.
pub const LONGEST: usize = 1 << 30;

/// This build: the crate's version and a hash of the core's source. Another build may decide otherwise.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " (core ", env!("LABMAN_CORE_SOURCE"), ")");

/// What was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    pub build: String,
    /// The public half of the key that a node signs with. The other half is in no journal.
    pub public_key: Option<NodeId>,
    pub machine: Config,
}

/// Which kind of machine, and what its operator decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "few are made, and none is moved much")]
pub enum Config {
    Node(node::config::Config),
    Portal {
        config: portal::config::Config,
        /// The founding key ring, in hex.
        ring: String,
        /// The public halves of the keys that it holds.
        held: Vec<FepKey>,
    },
    Portman(portman::config::Config),
}

impl Config {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Portal { .. } => "portal",
            Self::Portman(_) => "portman",
        }
    }

    const fn tables(&self) -> &'static [Table] {
        match self {
            Self::Node(_) => Node::TABLES,
            Self::Portal { .. } => Portal::TABLES,
            Self::Portman(_) => &[],
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "few are made, and none is moved much")]
pub enum Record<'a> {
    Header(Header),
    Life(Life),
    Call(Call<'a>),
    End,
}

/// What a machine was made from.
pub struct Life {
    pub now: Now,
    pub seed: Seed,
    pub snapshot: Snapshot,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    pub now: Now,
    pub cause: Cause<'a>,
    pub outcome: Outcome,
}

/// Why a machine is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// It was just made, and may have something to say.
    Made,
    Input(Input<'a>),
    Timeout,
}

impl Cause<'_> {
    pub fn tell<M: Machine + ?Sized>(self, machine: &mut M, now: Now) {
        match self {
            Self::Made => {}
            Self::Input(input) => machine.handle(now, input),
            Self::Timeout => machine.handle_timeout(now),
        }
    }
}

/// What came of a call, or of making a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// All that the machine made meanwhile, in order.
    pub signatures: Vec<[u8; 64]>,
    /// The life ends here.
    pub fault: Option<Fault>,
    /// Of this life, so far.
    pub said: Said,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What the panicking call said is not told to anybody, and not part of [`Said`].
    Panicked(String),
    /// It can't go on, or (of a life) it could not be made.
    Stopped(String),
}

/// What a machine has said in its life: how many outputs, and the hash over all of them, whole and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub outputs: u64,
    pub hash: [u8; 32],
}

/// Hashes a life's outputs as they come.
#[derive(Default)]
pub struct Tally {
    hasher: blake3::Hasher,
    outputs: u64,
    buffer: Vec<u8>,
}

impl Tally {
    pub fn output(&mut self, output: &Output) {
        self.buffer.clear();
        put_output(output, &mut self.buffer);
        self.hasher.update(&(self.buffer.len() as u64).to_le_bytes());
        self.hasher.update(&self.buffer);
        self.outputs += 1;
    }

    pub fn said(&self) -> Said {
        Said { outputs: self.outputs, hash: *self.hasher.finalize().as_bytes() }
    }
}

const HEADER: u8 = 0;
const LIFE: u8 = 1;
const CALL: u8 = 2;
const END: u8 = 3;

/// One input, unambiguously.
pub fn put_input(input: &Input<'_>, to: &mut Vec<u8>) {
    input.put(to);
}

/// One output, unambiguously.
pub fn put_output(output: &Output, to: &mut Vec<u8>) {
    machine::put_output(output, to);
}

pub fn put_header(header: &Header, to: &mut Vec<u8>) {
    HEADER.put(to);
    // Our own types: they have string keys and no serializers that err.
    serde_json::to_vec(header).unwrap_or_default().as_slice().put(to);
}

pub fn put_life(now: Now, seed: Seed, snapshot: &Snapshot, outcome: &Outcome, to: &mut Vec<u8>) {
    LIFE.put(to);
    now.put(to);
    seed.0.put(to);
    snapshot.put(to);
    outcome.put(to);
}

/// The first part of a call's record, before the machine takes the input. [`put_outcome`] completes it.
pub fn put_call(now: Now, cause: &Cause<'_>, to: &mut Vec<u8>) {
    CALL.put(to);
    now.put(to);
    cause.put(to);
}

pub fn put_outcome(outcome: &Outcome, to: &mut Vec<u8>) {
    outcome.put(to);
}

pub fn put_end(to: &mut Vec<u8>) {
    END.put(to);
}

/// A record as it stands in the file. `number` counts the file's records from 0. `None`: it is too long for any journal.
pub fn frame(number: u64, body: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= LONGEST)?;
    let mut framed = Vec::with_capacity(PREFIX + body.len());
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&check(number, body));
    framed.extend_from_slice(body);
    Some(framed)
}

/// How long the body behind a prefix is. `None`: longer than any record.
pub fn body_length(prefix: &[u8; PREFIX]) -> Option<usize> {
    let [a, b, c, d, ..] = *prefix;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
    (length <= LONGEST).then_some(length)
}

/// Whether a body is what its prefix was written for, at this place in the file.
pub fn is_intact(number: u64, prefix: &[u8; PREFIX], body: &[u8]) -> bool {
    prefix.get(4..) == Some(&check(number, body))
}

fn check(number: u64, body: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(body);
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d, e, f, g, h]
}

/// Reads records in the order of the file: what comes later is read in the light of the last header.
#[derive(Clone, Default)]
pub struct Decoder {
    tables: &'static [Table],
}

impl Decoder {
    /// # Errors
    ///
    /// Bytes that no journal of this format holds.
    pub fn record<'a>(&mut self, body: &'a [u8]) -> Result<Record<'a>, Bad> {
        let mut from = Bytes::new(body, self.tables);
        let record = match u8::take(&mut from)? {
            HEADER => {
                let json = <&[u8]>::take(&mut from)?;
                let header: Header =
                    serde_json::from_slice(json).map_err(|_| from.bad("no header of this build"))?;
                self.tables = header.machine.tables();
                Record::Header(header)
            }
            LIFE => Record::Life(Life {
                now: Now::take(&mut from)?,
                seed: Seed(<[u8; 32]>::take(&mut from)?),
                snapshot: Snapshot::take(&mut from)?,
                outcome: Outcome::take(&mut from)?,
            }),
            CALL => Record::Call(Call {
                now: Now::take(&mut from)?,
                cause: Cause::take(&mut from)?,
                outcome: Outcome::take(&mut from)?,
            }),
            END => Record::End,
            _ => return Err(from.bad("no kind of record")),
        };
        from.end().map(|()| record)
    }
}
