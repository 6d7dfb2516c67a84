//! The least that stands between a client and a runtime: hyper on both sides, and nothing that looks at what passes.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

pub(crate) async fn serve(listen: SocketAddr, to: SocketAddr) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    super::serve(listen, move |request| pass(client.clone(), to, request)).await;
}

async fn pass(
    client: Client<HttpConnector, Full<Bytes>>,
    to: SocketAddr,
    request: Request<Incoming>,
) -> Response<Incoming> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("http://{to}{path}").parse().expect("it was a path");
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    client.request(Request::from_parts(head, Full::from(body))).await.expect("the runtime is there")
}
