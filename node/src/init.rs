//! Starting configs, commented, as `init` writes them. The files under `examples/` are what these templates give.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const GATEWAY: &str = include_str!("init/gateway.toml");
const UNPAID: &str = include_str!("init/unpaid.toml");
const PROVIDER: &str = include_str!("init/provider.toml");
const PORTMAN: &str = include_str!("init/portman.toml");
const FEP: &str = include_str!("init/fep.toml");

/// What a gateway's config says.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub network: String,
    pub data_dir: String,
    pub mesh_listen: String,
    /// `ip:port` as others reach `mesh_listen`, where that differs.
    pub address: Option<String>,
    pub http_listen: String,
    pub fep_id: String,
    pub fep_url: String,
}

/// What the config of a node says that serves its own users, with one embedded Portman.
#[derive(Clone, Debug)]
pub struct Unpaid {
    pub network: String,
    pub data_dir: String,
    pub http_listen: String,
    pub tenant: String,
    pub ep: String,
    pub token: String,
    pub portman_listen: String,
    pub runtime_url: String,
}

/// What a provider's config says, with one embedded Portman.
#[derive(Clone, Debug)]
pub struct Provider {
    pub network: String,
    pub data_dir: String,
    pub gateway_id: String,
    pub gateway_addr: String,
    pub fep_id: String,
    pub fep_url: String,
    pub tenant: String,
    pub ep: String,
    pub token: String,
    pub portman_listen: String,
    pub runtime_url: String,
    pub currency: String,
    pub payout_address: String,
}

#[derive(Clone, Debug)]
pub struct Portman {
    pub labman_url: String,
    pub token: String,
    pub runtime_url: String,
}

#[derive(Clone, Debug)]
pub struct Fep {
    pub network: String,
    pub data_dir: String,
    pub listen: String,
    pub currency: String,
}

impl Gateway {
    pub fn toml(&self) -> String {
        let mark = if self.address.is_some() { "" } else { "# " };
        fill(
            GATEWAY,
            &[
                ("network", &self.network),
                ("data_dir", &self.data_dir),
                ("mesh_listen", &self.mesh_listen),
                ("addresses_mark", mark),
                ("addresses", self.address.as_deref().unwrap_or("203.0.113.7:7700")),
                ("fep_id", &self.fep_id),
                ("fep_url", &self.fep_url),
                ("http_listen", &self.http_listen),
            ],
        )
    }
}

impl Unpaid {
    pub fn toml(&self) -> String {
        fill(
            UNPAID,
            &[
                ("network", &self.network),
                ("data_dir", &self.data_dir),
                ("http_listen", &self.http_listen),
                ("tenant", &self.tenant),
                ("portman_listen", &self.portman_listen),
                ("ep", &self.ep),
                ("token", &self.token),
                ("runtime_url", &self.runtime_url),
            ],
        )
    }
}

impl Provider {
    pub fn toml(&self) -> String {
        fill(
            PROVIDER,
            &[
                ("network", &self.network),
                ("data_dir", &self.data_dir),
                ("gateway_id", &self.gateway_id),
                ("gateway_addr", &self.gateway_addr),
                ("fep_id", &self.fep_id),
                ("fep_url", &self.fep_url),
                ("tenant", &self.tenant),
                ("portman_listen", &self.portman_listen),
                ("ep", &self.ep),
                ("token", &self.token),
                ("runtime_url", &self.runtime_url),
                ("currency", &self.currency),
                ("payout_address", &self.payout_address),
            ],
        )
    }
}

impl Portman {
    pub fn toml(&self) -> String {
        fill(
            PORTMAN,
            &[("labman_url", &self.labman_url), ("token", &self.token), ("runtime_url", &self.runtime_url)],
        )
    }
}

impl Fep {
    pub fn toml(&self) -> String {
        fill(
            FEP,
            &[
                ("network", &self.network),
                ("data_dir", &self.data_dir),
                ("listen", &self.listen),
                ("currency", &self.currency),
            ],
        )
    }
}

/// Replaces each `{name}`. Values land inside TOML's quotes, so what quotes would end or escape is escaped.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_string(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), &value.replace('\\', "\\\\").replace('"', "\\\""))
    })
}

/// A token nobody guesses: 32 random hex digits.
pub fn fresh_token() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a config that holds secrets (mode 0600), never over one that is there.
pub fn write_new(path: &Path, toml: &str) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(toml.as_bytes())
}
