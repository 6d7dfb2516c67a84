//! The built-in runtime, behind a real HTTP listener as any other runtime is.

use std::net::SocketAddr;

use labman_io_tokio::{HttpLimits, IoConfig, Running, StartError};
use labman_proto_core::toy;

use super::{Failure, listen_tcp};

pub struct Toy {
    pub addr: SocketAddr,
    running: Running,
}

impl Toy {
    pub async fn start(name: &str, listen: SocketAddr, config: toy::config::Config) -> Result<Self, Failure> {
        let (listener, addr) = listen_tcp("--listen", listen)?;
        // Its callers are Portmans, mostly of this host: an address says nothing about who they are.
        let http = HttpLimits { connections_per_address: usize::MAX, ..HttpLimits::default() };
        let io =
            IoConfig { name: name.to_string(), public_http: Some(listener), http, ..IoConfig::default() };
        let make = move |_: &_, seed, now| Ok(toy::Toy::new(config.clone(), seed, now));
        let running = labman_io_tokio::start(io, make)
            .await
            .map_err(|why| Failure::Start { who: "the built-in runtime", why: why.to_string() })?;
        Ok(Self { addr, running })
    }

    /// What a Portman's `runtime_url` is.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Resolves only if it can't go on, not even restarted from its store.
    pub async fn failed(&mut self) -> StartError {
        self.running.failed().await
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}
