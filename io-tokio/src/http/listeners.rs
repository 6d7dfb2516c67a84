//! Every listener of a process except the mesh's: accept loops that outlive no machine, over sockets that outlive all.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use labman_proto_core::http::Surface;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::admin::AdminSocket;
use crate::config::{HttpLimits, TlsFiles};
use crate::error::{Address, StartError};
use crate::http::server::Server;
use crate::http::tls::Tls;
use crate::http::{Connections, NoShare, Slot};
use crate::port::Port;
use crate::portman_ws::{self, Door};

/// Connections that the kernel holds until they are accepted, as far as it will. Where it holds no more, a client hears nothing and
/// tries again a second later.
const BACKLOG: i32 = 4096;
/// After a failed accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Listeners {
    public: Option<Arc<TcpListener>>,
    tls: Option<Arc<Tls>>,
    portman: Option<Arc<TcpListener>>,
    door: Option<Door>,
    admin: Option<Arc<AdminSocket>>,
    limits: Arc<HttpLimits>,
}

impl Listeners {
    pub(crate) fn open(
        public: Option<StdListener>,
        tls: Option<TlsFiles>,
        (portman, door): (Option<StdListener>, Option<Door>),
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
            tls: tls.map(Tls::open).transpose()?.map(Arc::new),
            portman: listener("Portman", portman)?,
            door,
            admin: admin.map(AdminSocket::create).transpose()?.map(Arc::new),
            limits: Arc::new(limits),
        })
    }

    /// Starts an accept loop for each listener, for one generation.
    pub(crate) fn serve(&self, port: &Port, draining: watch::Receiver<bool>) {
        self.serve_http(port, draining.clone());
        if let Some(listener) = &self.portman {
            // What users get is not what Portmans need.
            let limits = Arc::new(HttpLimits::default());
            let (task_port, header_timeout) = (port.clone(), limits.header_timeout);
            let serve = move |socket, address, slot| {
                let portman = portman_ws::serve(socket, address, task_port.clone(), header_timeout);
                task_port.spawn(async move {
                    portman.await;
                    drop::<Slot>(slot);
                });
            };
            port.spawn(accept(listener.clone(), limits, draining.clone(), serve));
        }
        if let Some(door) = &self.door {
            port.spawn(let_in(door.clone(), port.clone(), draining));
        }
    }

    /// Only users and the operator: a Portman that finds nobody comes again by itself.
    pub(crate) fn serve_http(&self, port: &Port, draining: watch::Receiver<bool>) {
        let server = |surface| Server { surface, limits: self.limits.clone(), port: port.clone() };
        if let Some(listener) = &self.public {
            let (server, task_port, drained) = (server(Surface::Public), port.clone(), draining.clone());
            let tls = self.tls.clone();
            let serve = move |socket, address, slot| {
                let (server, drained) = (server.clone(), drained.clone());
                match &tls {
                    None => task_port.spawn(server.serve(socket, Some(slot), drained)),
                    Some(tls) => {
                        task_port.spawn(server.serve_tls(tls.clone(), socket, address, slot, drained))
                    }
                }
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
    let options = SockRef::from(&socket);
    options.set_send_buffer_size(limits.send_buffer)?;
    options.listen(BACKLOG)?;
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
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            drained = draining.wait_for(|draining| *draining) => return drained.map_or((), |_| refuse_others(&listener)),
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("accepting a connection failed: {error}; if it repeats, raise `ulimit -n`");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Who waits for it keeps others waiting in the kernel.
        let placed = tokio::select! {
            placed = connections.place(address.ip()) => placed,
            drained = draining.wait_for(|draining| *draining) => return drained.map_or((), |_| refuse_others(&listener)),
        };
        match placed {
            Ok(slot) => {
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!("a connection from {address} is gone already: {error}");
                    continue;
                }
                serve(socket, address, slot);
            }
            Err(NoShare) => tracing::debug!("closed a connection from {address}: that address has its share"),
        }
    }
}

/// The process is to end, and not only this machine's life: who comes now goes to another one at once, and is not left to wait in the
/// kernel until then.
fn refuse_others(listener: &TcpListener) {
    if let Err(error) = SockRef::from(listener).shutdown(Shutdown::Both) {
        tracing::debug!("can't refuse further connections: {error}");
    }
}

async fn let_in(door: Door, port: Port, mut draining: watch::Receiver<bool>) {
    let within = HttpLimits::default().header_timeout;
    loop {
        let entered = tokio::select! {
            entered = door.accept() => entered,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        let Some(socket) = entered else { return };
        let portman = portman_ws::serve(socket, "this process", port.clone(), within);
        // It stays until its Portman has heard that the labman goes, also where the machine left before it heard of the link.
        let stays = draining.clone();
        port.spawn(async move {
            portman.await;
            drop(stays);
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    /// Nagle's algorithm holds a small piece back until the one before it is acknowledged, which the other end puts off for 40 ms.
    #[tokio::test]
    async fn an_accepted_connection_sends_small_pieces_at_once() {
        let limits = HttpLimits::default();
        let socket = StdListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Arc::new(listen(socket, &limits).unwrap());
        let (_drain, draining) = watch::channel(false);
        let (tell, mut told) = mpsc::unbounded_channel();
        let serve = move |socket: TcpStream, _, _| tell.send(socket.nodelay().unwrap()).unwrap();
        tokio::spawn(accept(listener, Arc::new(limits), draining, serve));
        let _client = TcpStream::connect(address).await.unwrap();
        assert_eq!(told.recv().await, Some(true));
    }

    #[tokio::test]
    async fn who_comes_while_it_drains_is_refused_at_once() {
        let limits = HttpLimits::default();
        let socket = StdListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Arc::new(listen(socket, &limits).unwrap());
        let (drain, draining) = watch::channel(false);
        let accepting = accept(listener.clone(), Arc::new(limits), draining, |_, _, _| {});
        drain.send_replace(true);
        accepting.await;
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
