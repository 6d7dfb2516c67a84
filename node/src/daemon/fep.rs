//! A Front-End Portal.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use labman_io_tokio::{HttpLimits, IoConfig, Running, StartError, StoreConfig};
use labman_proto_core::identity::{FepId, Identity};
use labman_proto_core::journal;
use labman_proto_core::keys::BadRing;
use labman_proto_core::portal::{self, Portal, Signers};
use labman_proto_core::store::BadRow;

use super::fep_keys::{FepKeys, hex};
use super::{DataDir, Failure, identity, listen_tcp, open_journal};
use crate::{config, systemd};

/// A gateway asks for each of its users' requests, so one address is many callers; half the places are left to others.
const CONNECTIONS_PER_ADDRESS: usize = 512;

pub struct Fep {
    pub fep_id: FepId,
    /// Absent where only the operator is served.
    pub http_addr: Option<SocketAddr>,
    pub admin: PathBuf,
    running: Running,
}

impl Fep {
    /// Serves nodes and the operator.
    pub async fn start(name: &str, config: config::fep::Fep) -> Result<Self, Failure> {
        let dir = DataDir::open(&config.data_dir)?;
        let (listener, http_addr) = listen_tcp("listen", config.listen)?;
        let admin = dir.admin();
        let journal = config.journal.as_deref();
        Self::run(name, &dir, config.portal, Some((listener, http_addr)), admin, journal).await
    }

    /// Serves one command of the operator while no daemon runs, on an admin socket of its own.
    pub async fn start_for_operator(config: config::fep::Fep, admin: PathBuf) -> Result<Self, Failure> {
        let dir = DataDir::open(&config.data_dir)?;
        Self::run("labman-fep", &dir, config.portal, None, admin, None).await
    }

    async fn run(
        name: &str,
        dir: &DataDir,
        config: portal::config::Config,
        http: Option<(TcpListener, SocketAddr)>,
        admin: PathBuf,
        journal: Option<&Path>,
    ) -> Result<Self, Failure> {
        let keys = FepKeys::open(dir, &config.network)?;
        let (fep_id, founding, secrets) = (keys.fep_id, keys.founding.clone(), keys.secrets()?);
        let machine = journal::Config::Portal {
            config: config.clone(),
            ring: hex(&founding),
            held: secrets.iter().map(|secret| Identity::from_secret(secret).fep_key()).collect(),
        };
        let journal = open_journal(journal, None, machine)?;
        let (public_http, http_addr) = http.unzip();
        let io = IoConfig {
            name: name.to_string(),
            store: Some(StoreConfig { path: dir.store(), tables: Portal::TABLES }),
            public_http,
            admin: Some(admin.clone()),
            http: HttpLimits { connections_per_address: CONNECTIONS_PER_ADDRESS, ..HttpLimits::default() },
            journal: journal.clone(),
            heartbeat: systemd::heartbeat(),
            ..IoConfig::default()
        };
        let make = move |snapshot: &_, seed, now| {
            let held = secrets.iter().map(|secret| identity(secret, journal.as_ref())).collect();
            let bad = |why: BadRing| BadRow { table: "keys.ring", key: String::new(), what: why.to_string() };
            let signers = Signers::new(&config.network, &founding, held).map_err(bad)?;
            Portal::new(config.clone(), signers, seed, snapshot, now)
        };
        let running = labman_io_tokio::start(io, make)
            .await
            .map_err(|why| Failure::Start { who: "labman-fep", why: why.to_string() })?;
        Ok(Self { fep_id, http_addr, admin, running })
    }

    /// Resolves only if it can't go on, not even restarted from its store.
    pub async fn failed(&mut self) -> StartError {
        self.running.failed().await
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}
