//! What `benches/gateway/run.sh` puts around gateways: a runtime that costs next to nothing behind them, a load in front, and a
//! proxy that does nothing else beside them.

mod load;
mod proxy;
mod upstream;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;

use clap::Parser;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

#[derive(Parser)]
enum Command {
    /// An OpenAI-compatible runtime with one model, `fake`
    Upstream { listen: SocketAddr },
    /// Passes every request on, and every answer back
    Proxy { listen: SocketAddr, to: SocketAddr },
    /// Asks again and again; prints what came of it as JSON
    Load(load::Load),
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match Command::parse() {
        Command::Upstream { listen } => upstream::serve(listen).await,
        Command::Proxy { listen, to } => proxy::serve(listen, to).await,
        Command::Load(load) => println!("{}", load.run().await),
    }
}

/// Serves until it is killed.
async fn serve<B, F>(listen: SocketAddr, answer: impl Fn(Request<Incoming>) -> F + Clone + 'static)
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    F: Future<Output = Response<B>> + 'static,
{
    let listener = TcpListener::bind(listen).await.expect("the port is free");
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                socket.set_nodelay(true).expect("a fresh connection takes options");
                let answer = answer.clone();
                tokio::task::spawn_local(async move {
                    let service = service_fn(|request| {
                        let answer = answer(request);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    let mut server = http1::Builder::new();
                    let _ =
                        server.timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        })
        .await;
}
