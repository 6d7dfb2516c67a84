//! What a replay tells: a page for people, a document for programs.

use std::fmt;

use labman_proto_core::journal::BUILD;
use serde_json::{Value, json};

use super::show::seconds;
use super::{Divergence, End, Life, Replay};

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for header in &self.headers {
            let key = header.public_key.map(|key| format!(" {key}")).unwrap_or_default();
            writeln!(f, "{}{key}, written by labman {}", header.machine.kind(), header.build)?;
        }
        for (index, life) in self.lives.iter().enumerate() {
            writeln!(
                f,
                "life {}: {}, {} inputs, {} timeouts, {} outputs, {} signatures",
                index + 1,
                seconds(life.lasted),
                life.inputs,
                life.timeouts,
                life.got.outputs,
                life.signatures
            )?;
            writeln!(f, "  expected {}", hex::encode(life.expected.hash))?;
            writeln!(f, "  got      {}", hex::encode(life.got.hash))?;
            if let Some(fault) = &life.fault {
                writeln!(f, "  {fault}")?;
            }
        }
        if let Some(state) = &self.state {
            writeln!(f, "{state:#}")?;
        }
        write!(f, "{}", self.sentence())?;
        if let Some(after) = self.ended_before {
            write!(f, "; the life ended {} after its start, before the moment asked for", seconds(after))?;
        }
        match self.other_build() {
            Some(other) if !self.passed() => {
                write!(f, "\nthis is labman {BUILD}, the journal is of {other}: replay it with that build")
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Replay {
    pub fn to_json(&self) -> Value {
        let headers = self.headers.iter().map(|header| {
            json!({ "machine": header.machine.kind(), "public_key": header.public_key, "build": header.build })
        });
        let (end, divergence) = match &self.end {
            End::Closed => ("closed", None),
            End::Open { .. } => ("open", None),
            End::Stopped => ("stopped", None),
            End::NoLife(_) => ("no such life", None),
            End::Diverged(divergence) => ("diverged", Some(divergence.to_json())),
            End::Refused { record, why } => ("refused", Some(json!({ "record": record, "what": why }))),
        };
        let torn = if let End::Open { torn } = self.end { torn } else { 0 };
        json!({
            "identical": self.passed(),
            "end": end,
            "cut_off_bytes": torn,
            "ended_before_until_ms": self.ended_before.map(|span| span.as_millis()),
            "divergence": divergence,
            "records": self.records,
            "processes": headers.collect::<Vec<_>>(),
            "lives": self.lives.iter().map(Life::to_json).collect::<Vec<_>>(),
            "state": self.state,
            "build": BUILD,
        })
    }

    fn sentence(&self) -> String {
        let count = format!("{} records, {} lives", self.records, self.lives.len());
        let replayed = match self.passed() {
            true => format!("identical: {count}"),
            false => format!("NOTHING REPLAYED: {count}"),
        };
        match &self.end {
            End::Closed => format!("{replayed}, to the journal's end"),
            End::Open { torn: 0 } => format!("{replayed}; the last process did not close the journal"),
            End::Open { torn } => {
                format!("{replayed}; the journal is cut off {torn} bytes into record {}", self.records)
            }
            End::Stopped if self.ended_before.is_some() => replayed,
            End::Stopped => format!("{replayed}, as far as was asked"),
            End::NoLife(life) => format!("NO LIFE {life}: there are {} in the journal", self.lives.len()),
            End::Diverged(at) => format!(
                "DIVERGED at record {} (life {}, {} after its start: {}): now against then: {}",
                at.record,
                at.life,
                seconds(at.at),
                at.cause,
                at.what
            ),
            End::Refused { record, why } => format!("REFUSED at record {record}: {why}"),
        }
    }

    /// A build that wrote some of this and is not ours.
    fn other_build(&self) -> Option<&str> {
        self.headers.iter().map(|header| header.build.as_str()).find(|build| *build != BUILD)
    }
}

impl Life {
    fn to_json(&self) -> Value {
        json!({
            "started_ms": self.started.0,
            "lasted_ms": self.lasted.as_millis(),
            "inputs": self.inputs,
            "timeouts": self.timeouts,
            "outputs": self.got.outputs,
            "signatures": self.signatures,
            "expected": hex::encode(self.expected.hash),
            "got": hex::encode(self.got.hash),
            "fault": self.fault,
        })
    }
}

impl Divergence {
    fn to_json(&self) -> Value {
        json!({
            "record": self.record,
            "life": self.life,
            "at_ms": self.at.as_millis(),
            "cause": self.cause,
            "what": self.what,
        })
    }
}
