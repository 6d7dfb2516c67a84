//! `labman-cli`: what a running labmand knows, over its admin socket, for eyes and (with `--json`) for programs.
//!
//! One file a command; none of them decides anything.

mod audit;
mod claims;
mod denials;
mod earnings;
mod explain;
mod exposure;
mod market;
mod payouts;
mod plan;
mod receipts;
mod status;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use labman_node::admin::{Admin, AdminError};
use labman_node::{commands, config};
use serde_json::Value;

/// Asks a running labmand
#[derive(Parser, Debug)]
#[command(name = "labman-cli", version)]
struct Cli {
    /// The config of the labmand to ask
    #[arg(long, value_name = "FILE", global = true, default_value = "/etc/labman/labman.toml")]
    config: PathBuf,
    /// Its admin socket, instead of the one its config names
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Who it is, whom it is connected to, what it serves and what is owed to it
    Status,
    /// What is asked for, here and around, and what there is of it
    Market,
    /// Which models this provider keeps in memory, why, and what it would take to change that
    Plan,
    /// Why a request went where it went: who could serve it, who was tried, in what order
    Explain {
        /// As `x-request-id` says it, such as `req_4f...`
        request_id: String,
    },
    /// The receipts of work done here, newest first
    Receipts {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        #[command(subcommand)]
        order: Option<ReceiptsOrder>,
    },
    /// The claims made for receipts, and what was paid for each, newest first
    Claims {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        #[command(subcommand)]
        order: Option<ClaimsOrder>,
    },
    /// The payouts that came for claims, newest first
    Payouts {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// What each FEP owes, or may come to owe, and the most that it may
    Exposure {
        #[command(subcommand)]
        order: Option<ExposureOrder>,
    },
    /// The FEPs and gateways that are not worked for, for a while, because they did not deliver
    Denials {
        #[command(subcommand)]
        order: Option<DenialsOrder>,
    },
    /// What was earned, and what of it was paid
    Earnings {
        #[arg(long, value_enum, default_value_t = earnings::By::Day)]
        by: earnings::By,
    },
    /// Judge a provider's books from its store alone, whether or not it runs
    Audit(audit::Audit),
}

#[derive(Subcommand, Debug)]
enum ReceiptsOrder {
    /// Give up a receipt that its FEP would not pay, for good
    WriteOff { id: String },
    /// Its money came all the same: it counts as paid, for good
    Paid { id: String },
    /// Claim it with the next, without waiting for `dispute_for`
    ClaimAgain { id: String },
}

#[derive(Subcommand, Debug)]
enum ExposureOrder {
    /// Count what was written off no more, so that the FEP may owe as much again
    Clear {
        /// How the FEP's id begins
        fep: String,
    },
}

#[derive(Subcommand, Debug)]
enum ClaimsOrder {
    /// Claim what waits now, without waiting for `claim_every`
    Build {
        /// Also what is less than `least_payout`
        #[arg(long)]
        all: bool,
    },
}

#[derive(Subcommand, Debug)]
enum DenialsOrder {
    /// End denials before their time
    Clear {
        /// Only of FEPs and gateways whose id begins so
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
}

/// A call of the node, and how its answer is shown.
enum Call {
    Look(String, fn(&Value) -> String),
    Order(String, fn(&Value) -> String),
}

fn main() -> ExitCode {
    commands::run(Cli::parse().run())
}

impl Cli {
    async fn run(self) -> Result<(), String> {
        let call = match self.command {
            Command::Status => Call::Look("/status".to_string(), status::for_eyes),
            Command::Market => Call::Look("/market".to_string(), market::for_eyes),
            Command::Plan => Call::Look("/plan".to_string(), plan::for_eyes),
            Command::Explain { request_id } => {
                Call::Look(format!("/explain?request={request_id}"), explain::for_eyes)
            }
            Command::Receipts { limit, order: None } => {
                Call::Look(format!("/receipts?limit={limit}"), receipts::for_eyes)
            }
            Command::Receipts { order: Some(order), .. } => {
                let (word, id) = match order {
                    ReceiptsOrder::WriteOff { id } => ("write-off", id),
                    ReceiptsOrder::Paid { id } => ("paid", id),
                    ReceiptsOrder::ClaimAgain { id } => ("claim-again", id),
                };
                Call::Order(format!("/receipts/{word}?id={id}"), receipts::resolved)
            }
            Command::Claims { limit, order: None } => {
                Call::Look(format!("/claims?limit={limit}"), claims::for_eyes)
            }
            Command::Claims { order: Some(ClaimsOrder::Build { all }), .. } => {
                Call::Order(format!("/claims/build?all={all}"), claims::built)
            }
            Command::Payouts { limit } => Call::Look(format!("/payouts?limit={limit}"), payouts::for_eyes),
            Command::Exposure { order: None } => Call::Look("/exposure".to_string(), exposure::for_eyes),
            Command::Exposure { order: Some(ExposureOrder::Clear { fep }) } => {
                Call::Order(format!("/exposure/clear?fep={fep}"), exposure::cleared)
            }
            Command::Denials { order: None } => Call::Look("/denials".to_string(), denials::for_eyes),
            Command::Denials { order: Some(DenialsOrder::Clear { id }) } => {
                let whose = id.map(|id| format!("?id={id}")).unwrap_or_default();
                Call::Order(format!("/denials/clear{whose}"), denials::cleared)
            }
            Command::Earnings { by } => Call::Look(by.path().to_string(), earnings::for_eyes),
            Command::Audit(audit) => return audit.run(&self.config, self.json),
        };
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => config::labmand::Labmand::read_data_dir(&self.config)
                .map_err(|why| format!("{why}; or name the admin socket with --socket"))?
                .join("admin.sock"),
        };
        let admin = Admin::at(&socket);
        let (answer, show) = match &call {
            Call::Look(path, show) => (admin.get(path).await, show),
            Call::Order(path, show) => (admin.post(path, &Value::Null).await, show),
        };
        let answer = answer.map_err(|why| with_next_step(&why))?;
        let text = if self.json { format!("{answer:#}") } else { show(&answer) };
        commands::say(text);
        Ok(())
    }
}

fn with_next_step(why: &AdminError) -> String {
    match why {
        AdminError::Unreachable(_) => {
            format!("{why} (`labmand --config FILE` starts it; --socket names its socket)")
        }
        AdminError::Refused { .. } | AdminError::Garbled { .. } => why.to_string(),
    }
}
