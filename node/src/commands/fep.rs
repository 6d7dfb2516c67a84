//! The command line of `labman-fep`: the daemon, and its operator's commands.

mod eyes;
mod operator;
mod signing_key;
mod statement;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use labman_proto_core::identity::FepId;

use super::{in_order, say, until_stopped, write_config};
use crate::config::Every;
use crate::daemon::fep_keys::FepKeys;
use crate::daemon::{DataDir, Fep};
use crate::signals::Shutdown;
use crate::{audit, config, init};
use operator::Operator;
use signing_key::SigningKeyCommand;

/// A Front-End Portal: user accounts, balances, receipts and payouts, over mock rails
#[derive(Parser, Debug)]
#[command(name = "labman-fep", version)]
pub struct Cli {
    #[arg(long, value_name = "FILE", global = true, default_value = "/etc/labman/fep.toml")]
    config: PathBuf,
    /// The admin socket of a running FEP, instead of the one its config names
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    /// For a command that changes something: the same key again gives the first answer and changes nothing more
    #[arg(long, value_name = "KEY", global = true)]
    idempotency_key: Option<String>,
    /// Record everything that is needed to replay this run; API keys and tokens are in it
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write a commented starting config and make the FEP's keys
    Init {
        #[arg(long, value_name = "FILE", default_value = "fep.toml")]
        out: PathBuf,
        /// Keys, ledger and admin socket; relative to the config
        #[arg(long, value_name = "DIR", default_value = "fep-data")]
        data_dir: String,
        #[arg(long, default_value = "labman")]
        network: String,
        /// Where nodes call it
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8800")]
        listen: String,
        #[arg(long, default_value = "XTS")]
        currency: String,
    },
    /// Print the FEP's id
    Id,
    /// Users
    #[command(subcommand)]
    User(UserCommand),
    /// Users' API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Keys that sign for the FEP
    #[command(subcommand)]
    SigningKey(SigningKeyCommand),
    /// Gateways that may spend users' balances
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Credit a user's balance
    Deposit {
        user: String,
        /// In currency units, such as 12.5
        amount: String,
        /// Says what it is; the same reference twice is one deposit (default: the idempotency key, or a fresh one)
        #[arg(long)]
        reference: Option<String>,
    },
    /// Send a user's money back over a rail
    Withdraw {
        user: String,
        /// In currency units, such as 12.5
        amount: String,
        /// An address of a rail that is offered
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// Says what it is; the same reference twice is one withdrawal (default: the idempotency key, or a fresh one)
        #[arg(long)]
        reference: Option<String>,
    },
    /// What moved on an account, and what it came to
    #[command(subcommand)]
    Statement(StatementCommand),
    /// What providers were paid
    Payouts {
        /// Instead: claims that are accepted and not paid
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        page: Page,
    },
    /// What was moved over rails, or failed
    Transfers {
        /// Instead: those that are scheduled or sent
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        page: Page,
    },
    /// Lines of claims that were not paid, and that their providers dispute
    #[command(subcommand)]
    Dispute(DisputeCommand),
    /// Rails, and trouble with them
    #[command(subcommand)]
    Rail(RailCommand),
    /// What other currencies are worth: providers may be paid in those that are quoted
    #[command(subcommand)]
    Fx(FxCommand),
    /// Every account's balance, and whether they sum to zero
    Ledger {
        #[command(subcommand)]
        command: Option<LedgerCommand>,
    },
}

#[derive(Subcommand, Debug)]
enum LedgerCommand {
    /// Judge the books from the ledger's file alone, whether or not the FEP runs
    Check {
        /// The FEP's data directory, instead of the one its config names
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
}

/// Which lines of a listing, the newest first
#[derive(clap::Args, Debug)]
struct Page {
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// But for the newest so many
    #[arg(long, default_value_t = 0)]
    skip: u32,
}

#[derive(Subcommand, Debug)]
enum StatementCommand {
    User {
        user: String,
        #[command(flatten)]
        month: Month,
    },
    /// By node id
    Provider {
        node_id: String,
        /// That it is paid in (default: the billing currency)
        #[arg(long)]
        currency: Option<String>,
        #[command(flatten)]
        month: Month,
    },
    /// By node id
    Gateway {
        node_id: String,
        #[command(flatten)]
        month: Month,
    },
}

#[derive(clap::Args, Debug)]
struct Month {
    /// Of UTC; all time where it is left out
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
}

#[derive(Subcommand, Debug)]
enum DisputeCommand {
    /// Those that nobody has decided, the oldest first
    List,
    /// Let the provider claim the receipt again at once
    ClaimAgain(Decided),
    /// Say that the receipt will not be paid
    Stands(Decided),
}

#[derive(clap::Args, Debug)]
struct Decided {
    /// How its id begins
    receipt: String,
    /// What the provider's people are told
    #[arg(long, value_name = "TEXT")]
    answer: String,
}

#[derive(Subcommand, Debug)]
enum RailCommand {
    List,
    /// Order trouble with a mock rail, for its next transfers
    Fault {
        rail: String,
        /// failed: for good; answer_lost: made, and nobody hears; ask_lost: never heard of
        fault: String,
        /// 0: none, and what was ordered before is off
        #[arg(long, default_value_t = 1)]
        times: u32,
    },
}

#[derive(Subcommand, Debug)]
enum UserCommand {
    Add { name: String },
    List,
}

#[derive(Subcommand, Debug)]
enum KeyCommand {
    /// Make an API key; it is shown this once
    Add { user: String },
    /// A user's API keys, or all, by what they are called here
    List {
        user: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Let an API key spend nothing for now
    Freeze { key: String },
    /// Let a frozen API key spend again; a gateway that has just refused it hears it within 10 s
    Thaw { key: String },
    /// Take an API key back for good
    Revoke { key: String },
}

#[derive(Subcommand, Debug)]
enum FxCommand {
    /// From now on, for jobs that are authorized then
    Set {
        /// Such as EUR
        currency: String,
        /// What a unit of the billing currency is worth in it, such as 0.92 or 23/25
        rate: String,
        /// Then it lapses, and offers in that currency are refused until it is set again; at most 744h
        #[arg(long, value_name = "TIME", default_value = "24h")]
        valid_for: Every,
    },
    /// With those that have lapsed
    List,
    /// Refuse offers in that currency from now on
    Drop { currency: String },
}

#[derive(Subcommand, Debug)]
enum GatewayCommand {
    /// Enrol a gateway by its node id
    Add {
        node_id: String,
        /// What people call it
        #[arg(long, default_value = "gateway")]
        name: String,
        /// Pay in so much of what it answers with, in currency units: without a bond it can try one provider only for each
        /// request
        #[arg(long, value_name = "AMOUNT")]
        bond: Option<String>,
        /// Where its fees go: an address of a rail that is offered
        #[arg(long, value_name = "ADDRESS")]
        payout_to: Option<String>,
    },
    /// Say where a gateway's fees go from now on
    PayoutTo { node_id: String, address: String },
    /// Send a gateway all of its fees now, as is done each day
    Pay { node_id: String },
    /// Pay into a gateway's bond; a negative amount is paid out, as far as it is free
    #[command(allow_negative_numbers = true)]
    Bond {
        node_id: String,
        /// In currency units, such as 12.5
        amount: String,
        /// Says what it is; the same reference twice is one payment (default: the idempotency key, or a fresh one)
        #[arg(long)]
        reference: Option<String>,
    },
    /// Their bonds, what of them is locked, their fees, and where those go
    List,
}

impl Cli {
    /// A command prints its answer, not what the ledger it opens says.
    pub fn log_default(&self) -> &'static str {
        if self.command.is_some() { "warn" } else { "info" }
    }

    pub async fn run(self) -> Result<(), String> {
        let Some(command) = self.command else { return serve(&self.config, self.journal).await };
        if self.journal.is_some() {
            return Err("--journal is for the daemon: run it without a command".to_string());
        }
        match command {
            Command::Init { out, data_dir, network, listen, currency } => {
                write_config(&out, &init::Fep { network, data_dir, listen, currency }.toml())?;
                let id = fep_id(&out)?;
                let file = out.display();
                say(format!("Wrote {file} and made the FEP's keys.\n  fep id: {id}\nNext:"));
                say(format!("  - run it:            labman-fep --config {file}"));
                say(format!(
                    "  - enrol a gateway:   labman-fep gateway add NODE_ID --bond 10 --config {file}"
                ));
                say(format!(
                    "  - make a user:       labman-fep user add NAME --config {file}; then key add, deposit"
                ));
                say(
                    "  - move root.key of the data directory to a safe place: it is needed to rotate keys only",
                );
                Ok(())
            }
            Command::Id => {
                say(fep_id(&self.config)?);
                Ok(())
            }
            Command::Ledger { command: Some(LedgerCommand::Check { data_dir }) } => {
                let data_dir = match data_dir {
                    Some(data_dir) => data_dir,
                    None => {
                        config::fep::Fep::read(&self.config)
                            .map_err(|why| format!("{why}; or name the data directory with --data-dir"))?
                            .data_dir
                    }
                };
                audit::show(&audit::fep(&data_dir)?, self.json)
            }
            Command::SigningKey(command) if command.is_offline() => command.run_offline(self.json),
            Command::SigningKey(command) => {
                let keys = fep_keys(&self.config)?;
                let operator =
                    Operator::reach(&self.config, self.socket.as_deref(), self.idempotency_key).await?;
                let done = command.run(operator.admin(), &keys, self.json).await;
                operator.leave().await;
                done
            }
            operators => {
                let operator =
                    Operator::reach(&self.config, self.socket.as_deref(), self.idempotency_key).await?;
                let done = operator.run(operators, self.json).await;
                operator.leave().await;
                done
            }
        }
    }
}

async fn serve(path: &Path, journal: Option<PathBuf>) -> Result<(), String> {
    let config = config::fep::Fep::read(path).map_err(|why| why.to_string())?;
    let config = config::fep::Fep { journal, ..config };
    let mut stop = Shutdown::install();
    let mut fep = Fep::start("labman-fep", config).await.map_err(|why| why.to_string())?;
    tracing::info!("labman-fep is up: fep {}", fep.fep_id);
    if let Some(addr) = fep.http_addr {
        tracing::info!("nodes call it at http://{addr}");
    }
    let ended = until_stopped(&mut stop, "labman-fep", fep.failed()).await;
    in_order(&mut stop, "labman-fep", fep.stop()).await;
    ended
}

fn fep_id(config: &Path) -> Result<FepId, String> {
    fep_keys(config).map(|keys| keys.fep_id)
}

fn fep_keys(config: &Path) -> Result<FepKeys, String> {
    let config = config::fep::Fep::read(config).map_err(|why| why.to_string())?;
    let dir = DataDir::open(&config.data_dir).map_err(|why| why.to_string())?;
    FepKeys::open(&dir, &config.portal.network).map_err(|why| why.to_string())
}
