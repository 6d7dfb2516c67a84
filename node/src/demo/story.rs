//! The demo in words and figures. On stdout, or on stderr where stdout belongs to a JSON document.

use std::cell::Cell;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use labman_proto_core::money::Micros;
use serde_json::Value;

use super::outcome::Outcome;
use crate::mesh::Mesh;
use crate::openai::{Client, Completion};

pub(super) struct Story {
    to_stderr: bool,
    /// Of the answer's present line.
    column: Cell<usize>,
}

const WIDTH: usize = 100;

impl Story {
    pub(super) fn new(to_stderr: bool) -> Self {
        Self { to_stderr, column: Cell::new(0) }
    }

    pub(super) fn begins(&self, mesh: &Mesh, client: &Client, slugs: &[String], dir: &Path, toy: bool) {
        self.say("\nA labman mesh runs in this process: real QUIC, WebSocket, HTTP and SQLite, on the loopback only.\n");
        let fep_url = mesh.fep.http_addr.map(|addr| format!("http://{addr}")).unwrap_or_default();
        self.row("FEP", format!("{}  {fep_url}", short(mesh.fep_id())));
        for gateway in &mesh.gateways {
            self.row("gateway", format!("{}  {}", short(gateway.node_id), client.base_url()));
        }
        for provider in &mesh.providers {
            let own = slugs.iter().filter(|slug| provider.serves(slug));
            let models = own.cloned().collect::<Vec<_>>().join(", ");
            self.row(&provider.name, format!("{}  {models}", short(provider.node.node_id)));
        }
        self.row("data", dir.display());
        if toy {
            self.say("\nThe model is a toy that strings words together, to try the mesh with; --runtime-url puts a");
            self.say("real one behind it.");
        }
    }

    pub(super) fn asks(&self, prompt: &str) {
        self.say("\nThe user \"demo\" has an API key and a test deposit, and asks:\n");
        self.say(format!("  > {prompt}\n"));
        self.write("  ");
    }

    /// One piece of the answer, as it comes.
    pub(super) fn token(&self, text: &str) {
        let column = self.column.get() + text.chars().count();
        let wrap = column > WIDTH && text.starts_with(' ');
        self.column.set(if wrap { text.chars().count() } else { column });
        let text = if wrap { format!("\n  {}", text.trim_start()) } else { text.replace('\n', "\n  ") };
        self.write(&text);
    }

    pub(super) fn answered(&self, completion: &Completion) {
        let Completion { chunks, finish_reason, .. } = completion;
        let reason = finish_reason.as_deref().unwrap_or("none");
        self.say(format!("\n\n  ({chunks} chunks; finish reason: {reason})"));
    }

    pub(super) fn money(&self, mesh: &Mesh, outcome: &Outcome) {
        let Outcome { receipt, claim, payout, ledger, .. } = outcome;
        let currency = text(&receipt["currency"]);
        let (charge, pays) = (micros(&receipt["charge"]), micros(&receipt["payout"]));
        let name = mesh.provider(outcome.provider).map(|provider| provider.name.as_str()).unwrap_or_default();
        let counts = &receipt["counts"];
        self.say("\nWhere the money went:\n");
        self.row("served by", format!("{name}, node {}", short(outcome.provider)));
        self.row(
            "tokens",
            format!("{} in (of them {} cached), {} out", counts["input"], counts["cached"], counts["output"]),
        );
        let price = &outcome.price;
        self.row(
            "price",
            format!(
                "{} {currency} in, {} cached, {} out, by the million tokens",
                micros(&price["input_per_mtok"]),
                micros(&price["cached_per_mtok"]),
                micros(&price["output_per_mtok"]),
            ),
        );
        self.row("receipt", format!("{}, signed by the FEP", short(text(&receipt["receipt_id"]))));
        self.row("  user pays", format!("{charge} {currency}"));
        self.row("  provider gets", format!("{pays} {currency}"));
        let fees = charge.checked_sub(pays).unwrap_or_default();
        self.row("  fees", format!("{fees} {currency} (FEP and gateway, and what rounding leaves)"));
        self.row(
            "claim",
            format!(
                "{}, by the provider, for {} receipt(s), {} {currency}: {}",
                short(text(&claim["claim_id"])),
                claim["count"],
                micros(&claim["total"]),
                text(&claim["state"]),
            ),
        );
        self.row(
            "payout",
            format!(
                "{}, to {} as {}",
                short(text(&payout["payout_id"])),
                text(&claim["address"]),
                text(&claim["rail_tx"])
            ),
        );
        let accounts = ledger["accounts"].as_array().map_or(0, Vec::len);
        let verdict = match ledger["balanced"].as_bool() {
            Some(true) => "balanced: its",
            _ => "NOT balanced: its",
        };
        self.row(
            "ledger",
            format!("{verdict} {accounts} accounts sum to zero over {} entries", ledger["entries"]),
        );
    }

    pub(super) fn stays_up(&self, client: &Client, model: &str, dir: &Path, provider: &str) {
        let url = client.base_url();
        self.say("\nThe mesh stays up until Ctrl-C. Use it from any OpenAI client:\n");
        self.say(format!("  export OPENAI_BASE_URL={url}"));
        self.say(format!("  export OPENAI_API_KEY={}", client.api_key()));
        self.say(format!(
            "  curl -iN $OPENAI_BASE_URL/chat/completions -H \"Authorization: Bearer $OPENAI_API_KEY\" \
             -H 'Content-Type: application/json' \
             -d '{{\"model\": \"{model}\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n"
        ));
        self.say("Add \"provider\": {\"sort\": \"price\"} (or latency, or throughput) to say by what to choose, or");
        self.say("{\"max_price\": {\"completion\": 1.5}} what it may cost. Ask the gateway why it went where it went:\n");
        let socket = |name: &str| dir.join(name).join("admin.sock");
        self.say(format!("  labman-cli --socket {} explain X-REQUEST-ID\n", socket("gateway").display()));
        self.say("and the provider that served the first where its money is:\n");
        self.say(format!("  labman-cli --socket {} earnings\n", socket(provider).display()));
    }

    pub(super) fn ends(&self, kept: Option<&Path>) {
        match kept {
            Some(dir) => self.say(format!("\nStopping; everything is kept in {}.", dir.display())),
            None => self.say("\nStopping."),
        }
    }

    fn row(&self, name: &str, value: impl Display) {
        self.say(format!("  {name:<16}{value}"));
    }

    fn say(&self, line: impl Display) {
        self.write(&format!("{line}\n"));
    }

    /// Nobody may be listening any more (a closed pipe): that is no reason to stop the mesh.
    fn write(&self, text: &str) {
        let _ = if self.to_stderr {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush())
        };
    }
}

/// The beginning of an id is what eyes compare.
fn short(id: impl Display) -> String {
    let id = id.to_string();
    id.chars().take(10).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn micros(value: &Value) -> Micros {
    Micros(value.as_i64().unwrap_or_default())
}
