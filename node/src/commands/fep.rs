//! The command line of `labman-fep`: the daemon, and its operator's commands.

mod operator;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::{in_order, until_stopped, write_config};
use crate::daemon::{DataDir, Fep};
use crate::signals::Shutdown;
use crate::{audit, config, init};
use operator::Operator;

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
    /// Record everything that is needed to replay this run; API keys and tokens are in it
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write a commented starting config and make the FEP's key
    Init {
        #[arg(long, value_name = "FILE", default_value = "fep.toml")]
        out: PathBuf,
        /// Key, ledger and admin socket; relative to the config
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
    /// Gateways that may spend users' balances
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Credit a user's balance
    Deposit {
        user: String,
        /// In currency units, such as 12.5
        amount: String,
        /// Says what it is; the same reference twice is one deposit (default: a fresh one)
        #[arg(long)]
        reference: Option<String>,
    },
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

#[derive(Subcommand, Debug)]
enum UserCommand {
    Add { name: String },
    List,
}

#[derive(Subcommand, Debug)]
enum KeyCommand {
    /// Make an API key; it is shown this once
    Add { user: String },
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
    },
    /// Pay into a gateway's bond; a negative amount is paid out, as far as it is free
    #[command(allow_negative_numbers = true)]
    Bond {
        node_id: String,
        /// In currency units, such as 12.5
        amount: String,
        /// Says what it is; the same reference twice is one payment (default: a fresh one)
        #[arg(long)]
        reference: Option<String>,
    },
    /// Their bonds, and what of them is locked
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
                println!("Wrote {file} and made the FEP's key.\n  fep id: {id}\nNext:");
                println!("  - run it:            labman-fep --config {file}");
                println!("  - enrol a gateway:   labman-fep gateway add NODE_ID --bond 10 --config {file}");
                println!(
                    "  - make a user:       labman-fep user add NAME --config {file}; then key add, deposit"
                );
                Ok(())
            }
            Command::Id => {
                println!("{}", fep_id(&self.config)?);
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
            operators => {
                let operator = Operator::reach(&self.config, self.socket.as_deref()).await?;
                let done = operator.run(operators, self.json).await;
                operator.leave().await;
                done
            }
        }
    }
}

async fn serve(path: &std::path::Path, journal: Option<PathBuf>) -> Result<(), String> {
    let config = config::fep::Fep::read(path).map_err(|why| why.to_string())?;
    let config = config::fep::Fep { journal, ..config };
    let mut stop = Shutdown::install();
    let mut fep = Fep::start("labman-fep", config).await.map_err(|why| why.to_string())?;
    tracing::info!("labman-fep is up: fep {}", fep.fep_id);
    if let Some(addr) = fep.http_addr {
        tracing::info!("nodes call it at http://{addr}");
    }
    let ended = until_stopped(&mut stop, "labman-fep", fep.failed()).await;
    in_order(&mut stop, fep.stop()).await;
    ended
}

fn fep_id(config: &std::path::Path) -> Result<labman_proto_core::identity::FepId, String> {
    let config = config::fep::Fep::read(config).map_err(|why| why.to_string())?;
    let identity =
        DataDir::open(&config.data_dir).and_then(|dir| dir.identity()).map_err(|why| why.to_string())?;
    Ok(identity.fep_id())
}
