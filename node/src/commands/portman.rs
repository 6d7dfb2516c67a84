//! The command line of `portman`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::{in_order, say, until_stopped, write_config};
use crate::config::portman::read_portman;
use crate::daemon::Portman;
use crate::init;
use crate::signals::Shutdown;

/// Attaches a model runtime to a labman
#[derive(Parser, Debug)]
#[command(name = "portman", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[arg(long, value_name = "FILE", default_value = "/etc/labman/portman.toml")]
    config: PathBuf,
    /// Record everything that is needed to replay this run; prompts and tokens are in it
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write a commented starting config
    Init {
        #[arg(long, value_name = "FILE", default_value = "portman.toml")]
        out: PathBuf,
        /// The labman's `portman_listen`
        #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8765/")]
        labman_url: String,
        /// As in the labman's [[portman]] entry (default: a fresh one, to be put there)
        #[arg(long)]
        token: Option<String>,
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:11434/v1")]
        runtime_url: String,
    },
}

impl Cli {
    pub async fn run(self) -> Result<(), String> {
        match self.command {
            None => {
                let config = read_portman(&self.config).map_err(|why| why.to_string())?;
                let (labman, runtime) = (config.labman_url.clone(), config.runtime_url.clone());
                let mut stop = Shutdown::install();
                let mut portman = Portman::start("portman", config, self.journal.as_deref(), None)
                    .await
                    .map_err(|why| why.to_string())?;
                tracing::info!("portman is up: jobs from {labman} run on {runtime}");
                let ended = until_stopped(&mut stop, "portman", portman.failed()).await;
                in_order(&mut stop, "portman", portman.stop()).await;
                ended
            }
            Some(Command::Init { out, labman_url, token, runtime_url }) => {
                let fresh = token.is_none();
                let token = token.unwrap_or_else(init::fresh_token);
                write_config(&out, &init::Portman { labman_url, token: token.clone(), runtime_url }.toml())?;
                say(format!("Wrote {}.", out.display()));
                if fresh {
                    say(format!(
                        "Put this into the [[portman]] entry of its labman's config: token = \"{token}\""
                    ));
                }
                say(format!("Then run: portman --config {}", out.display()));
                Ok(())
            }
        }
    }
}
