//! A Portman. It has no store, no key and no listener: it only dials its labman and asks its runtime.

use std::path::Path;

use labman_io_tokio::{IoConfig, Running, StartError, WayIn};
use labman_proto_core::journal;
use labman_proto_core::portman;

use super::{Failure, open_journal};

pub struct Portman {
    running: Running,
}

impl Portman {
    pub async fn start(
        name: &str,
        config: portman::config::Config,
        journal: Option<&Path>,
        labman_inside: Option<WayIn>,
    ) -> Result<Self, Failure> {
        let journal = open_journal(journal, None, journal::Config::Portman(config.clone()))?;
        let io = IoConfig { name: name.to_string(), journal, labman_inside, ..IoConfig::default() };
        let make = move |_: &_, seed, now| Ok(portman::Portman::new(config.clone(), seed, now));
        let running = labman_io_tokio::start(io, make)
            .await
            .map_err(|why| Failure::Start { who: "portman", why: why.to_string() })?;
        Ok(Self { running })
    }

    /// Resolves only if it can't go on, not even restarted from its store.
    pub async fn failed(&mut self) -> StartError {
        self.running.failed().await
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}
