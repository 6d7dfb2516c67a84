//! Every listener of a process except the mesh's: accept loops that outlive no machine, over sockets that outlive all.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use labman_proto_core::http::Surface;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::admin::AdminSocket;
use crate::config::HttpLimits;
use crate::error::{Address, StartError};
use crate::http::server::Server;
use crate::http::{Connections, Slot};
use crate::port::Port;
use crate::portman_ws;

/// After a failed accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Listeners {
    public: Option<Arc<TcpListener>>,
    portman: Option<Arc<TcpListener>>,
    admin: Option<Arc<AdminSocket>>,
    limits: Arc<HttpLimits>,
}

impl Listeners {
    pub(crate) fn open(
        public: Option<StdListener>,
        portman: Option<StdListener>,
        admin: Option<PathBuf>,
        limits: HttpLimits,
    ) -> Result<Self, StartError> {
        let listener = |what, socket: Option<StdListener>| {
            let open = |socket: StdListener| {
                let address = Address(socket.local_addr().ok());
                let listener = listen(socket, &limits).map(Arc::new);
                listener.map_err(|error| StartError::Socket { what, address, error })
            };
            socket.map(open).transpose()
        };
        Ok(Self {
            public: listener("public HTTP", public)?,
            portman: listener("Portman", portman)?,
            admin: admin.map(AdminSocket::create).transpose()?.map(Arc::new),
            limits: Arc::new(limits),
        })
    }

    /// Starts an accept loop for each listener, for one generation.
    pub(crate) fn serve(&self, port: &Port, draining: watch::Receiver<bool>) {
        self.serve_http(port, draining.clone());
        if let Some(listener) = &self.portman {
            let (task_port, header_timeout) = (port.clone(), self.limits.header_timeout);
            let serve = move |socket, address, slot| {
                let portman = portman_ws::serve(socket, address, task_port.clone(), header_timeout);
                task_port.spawn(async move {
                    portman.await;
                    drop::<Slot>(slot);
                });
            };
            port.spawn(accept(listener.clone(), self.limits.clone(), draining, serve));
        }
    }

    /// Only users and the operator: a Portman that finds nobody comes again by itself.
    pub(crate) fn serve_http(&self, port: &Port, draining: watch::Receiver<bool>) {
        let server = |surface| Server { surface, limits: self.limits.clone(), port: port.clone() };
        if let Some(listener) = &self.public {
            let (server, task_port, drained) = (server(Surface::Public), port.clone(), draining.clone());
            let serve = move |socket, _, slot| {
                task_port.spawn(server.clone().serve(socket, Some(slot), drained.clone()));
            };
            port.spawn(accept(listener.clone(), self.limits.clone(), draining.clone(), serve));
        }
        if let Some(admin) = &self.admin {
            port.spawn(accept_admin(admin.clone(), server(Surface::Admin), port.clone(), draining));
        }
    }
}

/// Accepted sockets inherit the listener's buffer size.
fn listen(socket: StdListener, limits: &HttpLimits) -> io::Result<TcpListener> {
    SockRef::from(&socket).set_send_buffer_size(limits.send_buffer)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

async fn accept(
    listener: Arc<TcpListener>,
    limits: Arc<HttpLimits>,
    mut draining: watch::Receiver<bool>,
    serve: impl Fn(TcpStream, SocketAddr, Slot),
) {
    let connections = Connections::new(limits.connections, limits.connections_per_address);
    loop {
        let next = async {
            let slot = connections.slot().await;
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            next = next => next,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("accepting a connection failed: {error}; if it repeats, raise `ulimit -n`");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match connections.admit(slot, address.ip()) {
            Some(slot) => {
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!("a connection from {address} is gone already: {error}");
                    continue;
                }
                serve(socket, address, slot);
            }
            None => tracing::debug!("closed a connection from {address}: that address has its share"),
        }
    }
}

async fn accept_admin(
    socket: Arc<AdminSocket>,
    server: Server,
    port: Port,
    mut draining: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match accepted {
            Ok(caller) => port.spawn(server.clone().serve(caller, None, draining.clone())),
            Err(error) => {
                tracing::warn!("admin socket: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
