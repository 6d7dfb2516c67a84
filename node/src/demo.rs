//! `labmand demo`: a whole mesh on the loopback, one paid and streamed chat completion, and where its money went.

mod outcome;
mod runtime;
mod story;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

pub use outcome::Outcome;
use story::Story;

use crate::daemon::Failure;
use crate::mesh::{Mesh, MeshError, Plan, PortmanPlan, ProviderPlan, Runtime, User};
use crate::openai::{Client, Completion};
use crate::signals::Shutdown;
use crate::{commands, config, logging};

#[derive(Args, Clone, Debug)]
pub struct Options {
    /// End after the first request
    #[arg(long)]
    pub once: bool,
    /// Print one JSON document on stdout after the first request; the rest goes to stderr
    #[arg(long)]
    pub json: bool,
    /// A real OpenAI-compatible runtime instead of the built-in one, such as http://127.0.0.1:11434/v1; repeat it for more
    #[arg(long = "runtime-url", value_name = "URL", value_parser = config::runtime_url)]
    pub runtime_urls: Vec<String>,
    /// The key that these ask for
    #[arg(long, value_name = "KEY", requires = "runtime_urls")]
    pub runtime_key: Option<String>,
    /// How many providers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub providers: u32,
    /// Port of the OpenAI API on the loopback (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub gateway_port: u16,
    /// Keep everything here, each part under its name (default: a temporary directory, removed at the end)
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("port {port} is taken ({why}); free it, or choose another with --gateway-port (0: any free one)")]
    PortTaken { port: u16, why: std::io::Error },
    #[error("can't make a temporary directory ({0}); name one with --data-dir")]
    Directory(std::io::Error),
    #[error("can't use {} for the demo's data ({why}); name another directory with --data-dir", path.display())]
    DataDir { path: PathBuf, why: std::io::Error },
    #[error("no model of the runtime at {url} came up within {within:?}: {why}", within = LISTED_WITHIN)]
    NoModels { url: String, why: String },
    #[error("stopped before the request was answered and paid")]
    Interrupted,
    #[error("the request failed: {0}")]
    Request(String),
    #[error(transparent)]
    Mesh(MeshError),
}

/// Providers connect and announce themselves; a real runtime may answer slowly while it loads.
const LISTED_WITHIN: Duration = Duration::from_secs(30);
const PROMPT: &str = "Tell me about the lanterns on the coast.";
const MOST_TOKENS: u32 = 64;

/// Runs until the demo is over or somebody stops it.
pub async fn run(options: Options) -> Result<(), DemoError> {
    // Before there is anything to clean up.
    let mut stop = Shutdown::install();
    let directory = Directory::of(options.data_dir.as_deref())?;
    let story = Story::new(options.json);
    let mesh = Mesh::start(plan(&options, directory.path())).await.map_err(|error| match error {
        MeshError::Daemon(Failure::Bind { key: "gateway.listen", addr, why }) => {
            DemoError::PortTaken { port: addr.port(), why }
        }
        MeshError::Daemon(Failure::DataDir { path, why }) => DemoError::DataDir { path, why },
        other => DemoError::Mesh(other),
    })?;
    let told = tokio::select! {
        told = tell(&options, &mesh, &story, directory.path()) => told.map(Some),
        () = stop.asked() => match options.once || options.json {
            true => Err(DemoError::Interrupted),
            false => Ok(None),
        },
    };
    let told = match told {
        Ok(Some(told)) if !options.once => {
            let model = told.slugs.first().map(|slug| any_providers_model(slug)).unwrap_or_default();
            story.stays_up(&told.client, model, directory.path(), &told.served_by);
            stop.asked().await;
            Ok(())
        }
        other => other.map(drop),
    };
    story.ends(directory.kept());
    logging::errors_only();
    commands::in_order(&mut stop, "the demo", mesh.stop()).await;
    told
}

/// The first request: who may send the next, for what, and which provider served it.
struct Told {
    client: Client,
    slugs: Vec<String>,
    served_by: String,
}

async fn tell(options: &Options, mesh: &Mesh, story: &Story, dir: &Path) -> Result<Told, DemoError> {
    let user = mesh.user("demo", "1.00").await?;
    let client = mesh.client(0, &user.api_key);
    let slugs = match (mesh.providers_listed(&client, LISTED_WITHIN).await, options.runtime_urls.first()) {
        (Err(MeshError::TooLate { .. }), Some(url)) => {
            let why = runtime::trouble(url, options.runtime_key.as_deref()).await;
            return Err(DemoError::NoModels { url: url.clone(), why });
        }
        (listed, _) => listed?,
    };
    story.begins(mesh, &client, &slugs, dir, options.runtime_urls.is_empty());

    let completion = ask(&client, &slugs, story).await?;
    let outcome = Outcome::follow(mesh, completion).await?;
    story.money(mesh, &outcome);
    if options.json {
        commands::say(format_args!("{:#}", document(&outcome, &client, &user)));
    }
    let provider = mesh.provider(outcome.provider);
    let served_by = provider.map(|provider| provider.name.clone()).unwrap_or_default();
    Ok(Told { client, slugs, served_by })
}

/// The one streamed request. Its model is named without a provider: the gateway chooses.
async fn ask(client: &Client, slugs: &[String], story: &Story) -> Result<Completion, DemoError> {
    let slug = slugs.first().map(String::as_str).unwrap_or_default();
    let request = json!({
        "model": any_providers_model(slug),
        "messages": [{ "role": "user", "content": PROMPT }],
        "max_tokens": MOST_TOKENS,
        "temperature": 0.8,
        "seed": 7,
    });
    story.asks(PROMPT);
    let completion = client
        .stream_chat(request, |text| story.token(text))
        .await
        .map_err(|error| DemoError::Request(error.to_string()))?;
    story.answered(&completion);
    match &completion.error {
        Some(error) => {
            Err(DemoError::Request(error["message"].as_str().unwrap_or("no reason given").to_string()))
        }
        None if !completion.done => Err(DemoError::Request("the stream ended without [DONE]".to_string())),
        None => Ok(completion),
    }
}

/// `tenant:ep:model` without its provider. A model whose own name has two colons can only be asked for in full.
fn any_providers_model(slug: &str) -> &str {
    let model = slug.splitn(3, ':').nth(2).unwrap_or(slug);
    if model.matches(':').count() < 2 { model } else { slug }
}

fn document(outcome: &Outcome, client: &Client, user: &User) -> serde_json::Value {
    json!({
        "completion_text": outcome.completion.text,
        "chunks": outcome.completion.chunks,
        "provider_node_id": outcome.provider,
        "receipt": outcome.receipt,
        "claim": outcome.claim,
        "payout": outcome.payout,
        "ledger_balanced": outcome.ledger["balanced"],
        "usage": outcome.completion.usage,
        "openai_base_url": client.base_url(),
        "openai_api_key": user.api_key,
    })
}

fn plan(options: &Options, dir: &Path) -> Plan {
    let http_listen = SocketAddr::from(([127, 0, 0, 1], options.gateway_port));
    (1..=options.providers).fold(Plan::new(dir).with_gateway("gateway", Some(http_listen)), |plan, number| {
        let mut provider = ProviderPlan::toy(&format!("provider-{number}"));
        provider.portmans = match options.runtime_urls.as_slice() {
            [] => vec![PortmanPlan::nth_toy("toy", number as usize - 1)],
            urls => (1..).zip(urls).map(|(number, url)| at_runtime(number, url, options)).collect(),
        };
        plan.with_provider(provider)
    })
}

/// For the runtime of that number.
fn at_runtime(number: usize, url: &str, options: &Options) -> PortmanPlan {
    let ep = if number == 1 { "local".to_string() } else { format!("local-{number}") };
    let runtime = Runtime::At { url: url.to_string(), key: options.runtime_key.clone() };
    PortmanPlan { runtime, ..PortmanPlan::toy(&ep) }
}

/// Where the parts keep their data.
enum Directory {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Directory {
    fn of(kept: Option<&Path>) -> Result<Self, DemoError> {
        match kept {
            Some(path) => Ok(Self::Kept(path.to_path_buf())),
            None => tempfile::Builder::new()
                .prefix("labman-demo-")
                .tempdir()
                .map(Self::Temporary)
                .map_err(DemoError::Directory),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }

    fn kept(&self) -> Option<&Path> {
        match self {
            Self::Kept(path) => Some(path),
            Self::Temporary(_) => None,
        }
    }
}

impl<E: Into<MeshError>> From<E> for DemoError {
    fn from(error: E) -> Self {
        Self::Mesh(error.into())
    }
}
