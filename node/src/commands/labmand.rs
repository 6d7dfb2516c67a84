//! The command line of `labmand`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use labman_proto_core::identity::NodeId;
use labman_proto_core::toy;

use super::{in_order, say, until_stopped, write_config};
use crate::config::Every;
use crate::daemon::{DataDir, Labmand, Toy};
use crate::signals::Shutdown;
use crate::{config, demo, init};

/// A node of the labman mesh: gateway, provider, or both
#[derive(Parser, Debug)]
#[command(name = "labmand", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(flatten)]
    config: ConfigPath,
    /// Record everything that is needed to replay this run; prompts and tokens are in it
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Debug)]
struct ConfigPath {
    #[arg(long, value_name = "FILE", default_value = "/etc/labman/labman.toml")]
    config: PathBuf,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Try it: a whole mesh on the loopback, one paid chat completion, and where its money went
    Demo(demo::Options),
    /// Write a commented starting config and make the node's key
    Init(Box<Init>),
    /// Print the node id of a config's key
    Id(ConfigPath),
    /// Run the built-in toy runtime alone, to put behind a Portman
    Toy {
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:18080")]
        listen: SocketAddr,
        /// What it has, by name; repeat it for more
        #[arg(long = "model", value_name = "NAME", default_value = "labman-toy")]
        models: Vec<String>,
        /// How many of several models are in memory at once [default: all]
        #[arg(long, value_name = "N")]
        room: Option<NonZeroUsize>,
        /// Time to load one into memory
        #[arg(long, value_name = "TIME", default_value = "2s")]
        load_takes: Every,
        /// Its time from one token to the next
        #[arg(long, value_name = "TIME", default_value = "20ms")]
        token_every: Every,
        /// Its time for each answer before that begins, besides
        #[arg(long, value_name = "TIME")]
        thinks: Option<Every>,
    },
}

#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("role").required(true).args(["gateway", "provider", "unpaid"])))]
struct Init {
    /// Serve users
    #[arg(long)]
    gateway: bool,
    /// Run models for the mesh
    #[arg(long)]
    provider: bool,
    /// Serve whoever comes by this host's own models, for nothing: no keys, no mesh
    #[arg(long)]
    unpaid: bool,
    #[arg(long, value_name = "FILE", default_value = "labman.toml")]
    out: PathBuf,
    /// Key, store and admin socket; relative to the config
    #[arg(long, value_name = "DIR", default_value = "labman-data")]
    data_dir: String,
    #[arg(long, default_value = "labman")]
    network: String,
    /// As `labman-fep id` prints it
    #[arg(long, value_name = "ID", default_value = "FEP-ID")]
    fep_id: String,
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8800")]
    fep_url: String,
    /// Gateway: where providers connect (UDP)
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:7700")]
    mesh_listen: String,
    /// Gateway: the same as others reach it
    #[arg(long, value_name = "IP:PORT")]
    address: Option<String>,
    /// Gateway, unpaid: the OpenAI API
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    http_listen: String,
    /// Provider: the gateway's node id
    #[arg(long, value_name = "ID", default_value = "GATEWAY-NODE-ID")]
    gateway_id: String,
    /// Provider: the gateway's mesh address
    #[arg(long, value_name = "HOST:PORT", default_value = "gateway.example:7700")]
    gateway_addr: String,
    /// Provider, unpaid: first part of its models' names
    #[arg(long, default_value = "my-lab")]
    tenant: String,
    /// Provider, unpaid: its model runtime
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:11434/v1")]
    runtime_url: String,
    /// Provider: what it is paid in
    #[arg(long, default_value = "XTS")]
    currency: String,
    /// Provider: where it is paid
    #[arg(long, value_name = "ADDRESS", default_value = "test:my-lab")]
    payout_address: String,
    /// Provider, unpaid: where its Portmans attach
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8765")]
    portman_listen: String,
}

impl Cli {
    /// What is logged where RUST_LOG does not say. The demo tells its own story, and the rest only on trouble.
    pub fn log_default(&self) -> &'static str {
        match self.command {
            Some(Command::Demo(_)) => "warn",
            _ => "info",
        }
    }

    pub async fn run(self) -> Result<(), String> {
        match self.command {
            None => serve(self.config, self.journal).await,
            Some(Command::Demo(options)) => demo::run(options).await.map_err(|why| why.to_string()),
            Some(Command::Init(options)) => options.run(),
            Some(Command::Id(at)) => {
                say(node_id(&at.config)?);
                Ok(())
            }
            Some(Command::Toy { listen, models, room, load_takes, token_every, thinks }) => {
                let thinks = thinks.map(|thinks| toy::config::Thinks::Constant(thinks.0)).unwrap_or_default();
                let is_again =
                    |(at, name): &(usize, &String)| models.iter().take(*at).any(|other| other == *name);
                if let Some((_, name)) = models.iter().enumerate().find(is_again) {
                    return Err(format!("the model {name:?} is given twice"));
                }
                let (token_every, load_takes) = (token_every.0, load_takes.0);
                let room = room.map_or(usize::MAX, NonZeroUsize::get);
                let loaded = models.iter().take(room).cloned().collect();
                let pace = toy::config::Config { token_every, thinks, ..Default::default() };
                toy(listen, toy::config::Config { models, loaded, room, load_takes, ..pace }).await
            }
        }
    }
}

async fn serve(at: ConfigPath, journal: Option<PathBuf>) -> Result<(), String> {
    let config = config::labmand::Labmand::read(&at.config).map_err(|why| why.to_string())?;
    let config = config::labmand::Labmand { journal, ..config };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let mut stop = Shutdown::install();
    let mut labmand = Labmand::start("labmand", config).await.map_err(|why| why.to_string())?;
    tracing::info!("labmand is up: node {}", labmand.node_id);
    if let Some(addr) = labmand.mesh_addr {
        tracing::info!("mesh on {addr} (UDP)");
    }
    if let Some(addr) = labmand.http_addr {
        tracing::info!("OpenAI API on {scheme}://{addr}/v1");
    }
    if let Some(addr) = labmand.portman_addr {
        tracing::info!("Portmans attach at ws://{addr}/");
    }
    let ended = until_stopped(&mut stop, "labmand", labmand.failed()).await;
    in_order(&mut stop, "labmand", labmand.stop()).await;
    ended
}

async fn toy(listen: SocketAddr, config: toy::config::Config) -> Result<(), String> {
    let mut stop = Shutdown::install();
    let mut toy = Toy::start("toy", listen, config).await.map_err(|why| why.to_string())?;
    tracing::info!("the built-in runtime, a toy for trying the mesh, is at {}", toy.url());
    let ended = until_stopped(&mut stop, "the built-in runtime", toy.failed()).await;
    in_order(&mut stop, "the built-in runtime", toy.stop()).await;
    ended
}

fn node_id(config: &std::path::Path) -> Result<NodeId, String> {
    let config = config::labmand::Labmand::read_data_dir(config).map_err(|why| why.to_string())?;
    let identity = DataDir::open(&config).and_then(|dir| dir.identity()).map_err(|why| why.to_string())?;
    Ok(identity.node_id())
}

impl Init {
    fn run(self) -> Result<(), String> {
        let out = self.out.clone();
        let toml = match (self.gateway, self.unpaid) {
            (true, _) => self.gateway_config().toml(),
            (_, true) => self.unpaid_config().toml(),
            (false, false) => self.provider_config().toml(),
        };
        write_config(&out, &toml)?;
        let id = node_id(&out)?;
        let file = out.display();
        say(format!("Wrote {file} and made this node's key."));
        say(format!("  node id: {id}"));
        say("Next:");
        for placeholder in
            ["FEP-ID", "GATEWAY-NODE-ID", "gateway.example"].iter().filter(|p| toml.contains(**p))
        {
            say(format!("  - replace {placeholder} in {file}"));
        }
        if self.gateway {
            say(format!("  - enrol it at its FEP:  labman-fep gateway add {id} --bond 10 --config fep.toml"));
        } else if self.unpaid {
            say(format!("  - check the runtime in {file}"));
        } else {
            say(format!("  - check the runtime, the prices and the payout address in {file}"));
        }
        say(format!("  - run it:               labmand --config {file}"));
        Ok(())
    }

    fn gateway_config(&self) -> init::Gateway {
        init::Gateway {
            network: self.network.clone(),
            data_dir: self.data_dir.clone(),
            mesh_listen: self.mesh_listen.clone(),
            address: self.address.clone(),
            http_listen: self.http_listen.clone(),
            fep_id: self.fep_id.clone(),
            fep_url: self.fep_url.clone(),
        }
    }

    fn unpaid_config(&self) -> init::Unpaid {
        init::Unpaid {
            network: self.network.clone(),
            data_dir: self.data_dir.clone(),
            http_listen: self.http_listen.clone(),
            tenant: self.tenant.clone(),
            ep: "local".to_string(),
            token: init::fresh_token(),
            portman_listen: self.portman_listen.clone(),
            runtime_url: self.runtime_url.clone(),
        }
    }

    fn provider_config(&self) -> init::Provider {
        init::Provider {
            network: self.network.clone(),
            data_dir: self.data_dir.clone(),
            gateway_id: self.gateway_id.clone(),
            gateway_addr: self.gateway_addr.clone(),
            fep_id: self.fep_id.clone(),
            fep_url: self.fep_url.clone(),
            tenant: self.tenant.clone(),
            ep: "local".to_string(),
            token: init::fresh_token(),
            portman_listen: self.portman_listen.clone(),
            runtime_url: self.runtime_url.clone(),
            currency: self.currency.clone(),
            payout_address: self.payout_address.clone(),
        }
    }
}
