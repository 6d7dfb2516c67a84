//! One connection's exchanges: requests to the machine, its answers to the client.
//!
//! An answer and the request's body move independently, so that a machine may answer before it has read everything (413)
//! and the client still gets to read that answer.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Incoming as RequestBody};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use labman_proto_core::http::Surface;
use labman_proto_core::machine::ResetCode;
use labman_proto_core::openai::error::unheard;
use labman_proto_core::wire::ids::RequestId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

use crate::config::HttpLimits;
use crate::http::body::StreamedBody;
use crate::http::lengths::{HeadWatch, Heads};
use crate::http::stall::StallGuard;
use crate::http::tls::Tls;
use crate::http::{Slot, head};
use crate::keys::fresh_id;
use crate::port::{Happening, Port};
use crate::stream::{self, Incoming, Out, Outgoing};

/// How much, and for how long, of a request's rest is read and dropped once it has been answered: a client that is
/// still writing would otherwise lose the answer to a reset of its connection.
const DRAIN_BYTES: usize = 8 * 1024 * 1024;
const DRAIN_FOR: Duration = Duration::from_secs(5);

type Answer = Response<Either<StreamedBody, Full<Bytes>>>;

#[derive(Clone)]
pub(super) struct Server {
    pub(super) surface: Surface,
    pub(super) limits: Arc<HttpLimits>,
    pub(super) port: Port,
}

impl Server {
    /// Serves until the client goes, or, once draining, until the exchange under way has ended.
    pub(super) async fn serve(
        self,
        socket: impl AsyncRead + AsyncWrite + Unpin,
        slot: Option<Slot>,
        mut draining: watch::Receiver<bool>,
    ) {
        let heads = Heads::up_to(self.limits.head_bytes);
        let reader = slot.as_ref().map(Slot::reader).unwrap_or_default();
        let socket = HeadWatch::new(StallGuard::new(socket, self.limits.write_idle, reader), heads.clone());
        let place = Arc::new(Place { slot, heads, requests: Mutex::new(0), cut: Notify::new() });
        place.asks_nothing(0);
        let service = service_fn(|request| self.exchange(request, place.clone()));
        let mut must_go = pin!(place.must_go());
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.limits.header_timeout)
                .max_headers(2 * self.limits.headers)
                .max_buf_size(self.limits.head_bytes)
                .serve_connection(TokioIo::new(socket), service)
        );
        let mut told = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!("an HTTP connection failed: {error}");
                    }
                    return;
                }
                () = place.cut.notified() => return,
                () = &mut must_go => return tracing::debug!("closed a connection that asks for nothing: all places are taken"),
                _ = draining.wait_for(|draining| *draining), if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// The same, once the client has shaken hands.
    pub(super) async fn serve_tls(
        self,
        tls: Arc<Tls>,
        socket: TcpStream,
        address: SocketAddr,
        slot: Slot,
        draining: watch::Receiver<bool>,
    ) {
        slot.is_idle();
        let mut drained = draining.clone();
        let shaken = timeout(self.limits.header_timeout, tls.acceptor().accept(socket));
        let shaken = tokio::select! {
            shaken = shaken => shaken,
            () = slot.must_go() => return,
            _ = drained.wait_for(|draining| *draining) => return,
        };
        match shaken {
            Ok(Ok(socket)) => self.serve(socket, Some(slot), draining).await,
            Ok(Err(error)) => tracing::debug!("no TLS with {address}: {error}"),
            Err(_) => tracing::debug!("no TLS with {address}: it took too long"),
        }
    }

    async fn exchange(&self, request: Request<RequestBody>, place: Arc<Place>) -> Result<Answer, Infallible> {
        let Some(number) = place.asks() else { return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE)) };
        let (parts, body) = request.into_parts();
        // hyper stops reading somewhat beyond the bounds, so a head that is only a little too long gets here.
        if place.heads.is_ambiguous() || is_ambiguous(&parts.headers) {
            return Ok(refusal(StatusCode::BAD_REQUEST));
        }
        if head::len(&parts) > self.limits.head_bytes || parts.headers.len() > self.limits.headers {
            return Ok(refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        }
        let id = self.port.next_stream();
        let (handle, outgoing, incoming) = stream::new(id, &self.port);
        let head = head::request_head(&parts);
        self.port.send(Happening::Request { stream: id, surface: self.surface, head, handle }).await;
        let mut pending_answer = PendingAnswer(Some(outgoing));

        let (finished, answered) = oneshot::channel();
        let (fail, failed) = oneshot::channel();
        let whole = body.is_end_stream();
        if whole {
            place.heads.next();
            incoming.finished().await;
        }
        let intake =
            Intake { body, incoming, body_idle: self.limits.body_idle, fail: Some(fail), place, number };
        self.port.spawn(intake.run(whole, answered));

        // A body that failed is reset, which ends the machine's answer too: that it failed comes first.
        let out = tokio::select! {
            biased;
            Ok(status) = failed => return Ok(refusal(status)),
            out = pending_answer.next() => out,
        };
        let Some(outgoing) = pending_answer.0.take() else {
            return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR));
        };
        let body = StreamedBody::answer(outgoing, finished);
        match out {
            Some(Out::Response(head)) => {
                Ok(head::response(head, Either::Left(body)).unwrap_or_else(|error| {
                    tracing::error!("the machine answered with an invalid head: {error}");
                    refusal(StatusCode::INTERNAL_SERVER_ERROR)
                }))
            }
            Some(Out::Send(_) | Out::Finish) => {
                tracing::error!("the machine answered without a head");
                Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR))
            }
            // The machine reset it: the intake cuts the connection.
            None => pending().await,
        }
    }
}

/// A connection among others.
struct Place {
    slot: Option<Slot>,
    heads: Arc<Heads>,
    /// Requests so far: what is left of an earlier one says nothing of the connection any more.
    requests: Mutex<u64>,
    /// Tells it to end at once.
    cut: Notify,
}

impl Place {
    /// A request begins: its number. `None`: too late, the connection was told to go.
    fn asks(&self) -> Option<u64> {
        let mut requests = lock(&self.requests);
        *requests += 1;
        self.goes_on().then_some(*requests)
    }

    /// Some of a request came, or it is whole. `false`: too late.
    fn goes_on(&self) -> bool {
        self.slot.as_ref().is_none_or(Slot::is_busy)
    }

    /// The request of that number is over, or does not go on for now.
    fn asks_nothing(&self, number: u64) {
        let requests = lock(&self.requests);
        if *requests == number {
            self.slot.iter().for_each(Slot::is_idle);
        }
    }

    /// What comes next is no more of that request.
    fn next_head(&self, number: u64) {
        let requests = lock(&self.requests);
        if *requests == number {
            self.heads.next();
        }
    }

    /// Somebody else is to have its place.
    async fn must_go(&self) {
        match &self.slot {
            Some(slot) => slot.must_go().await,
            None => pending().await,
        }
    }
}

/// Waits for the machine's head. Dropped before that: the client has gone.
struct PendingAnswer(Option<Outgoing>);

impl PendingAnswer {
    async fn next(&mut self) -> Option<Out> {
        match &mut self.0 {
            Some(outgoing) => outgoing.next().await,
            None => None,
        }
    }
}

impl Drop for PendingAnswer {
    fn drop(&mut self) {
        if let Some(outgoing) = &self.0 {
            outgoing.reset_soon(ResetCode::Cancelled);
        }
    }
}

/// How far a request's body came in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Whole,
    /// The answer was complete before it.
    Answered,
    /// The machine wants no more of it.
    Unwanted,
    /// The client stalled, broke off or broke HTTP's rules.
    Failed,
}

/// Takes in a request's body, and watches for the machine's reset as long as the exchange lasts.
struct Intake {
    body: RequestBody,
    incoming: Incoming,
    body_idle: Duration,
    /// What a client is told whose body failed before the machine answered.
    fail: Option<oneshot::Sender<StatusCode>>,
    place: Arc<Place>,
    number: u64,
}

impl Intake {
    /// `answered`: the whole answer has been handed over, or dropped.
    async fn run(mut self, whole: bool, mut answered: oneshot::Receiver<()>) {
        let (mut watch, place, number) = (self.incoming.watch(), self.place.clone(), self.number);
        let exchange = async {
            let taken = if whole { Taken::Whole } else { self.take_in(&mut answered).await };
            // Its answer is on the way, whatever is left of it.
            self.place.goes_on();
            if taken != Taken::Whole {
                // Nobody wants the rest: for the machine the stream ends here.
                self.incoming.reset(ResetCode::Cancelled).await;
                if taken != Taken::Failed {
                    let _ = timeout(DRAIN_FOR, self.drain()).await;
                }
            }
            if !whole {
                self.place.next_head(number);
            }
            // The body is dropped here at the latest: hyper waits for nothing more of it.
            drop(self.body);
            if taken != Taken::Answered {
                let _ = answered.await;
            }
        };
        tokio::select! {
            () = exchange => place.asks_nothing(number),
            _ = watch.aborted() => place.cut.notify_one(),
        }
    }

    async fn take_in(&mut self, answered: &mut oneshot::Receiver<()>) -> Taken {
        let mut watch = self.incoming.watch();
        loop {
            // Who sends nothing asks for nothing yet.
            self.place.asks_nothing(self.number);
            let frame = tokio::select! {
                frame = timeout(self.body_idle, self.body.frame()) => frame,
                _ = watch.unwanted() => return Taken::Unwanted,
                _ = &mut *answered => return Taken::Answered,
            };
            if !self.place.goes_on() {
                return self.failed(StatusCode::SERVICE_UNAVAILABLE);
            }
            let bytes = match frame {
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(Some(Err(error))) => {
                    tracing::debug!("a request's body ended early: {error}");
                    return self.failed(StatusCode::BAD_REQUEST);
                }
                Ok(None) => {
                    self.incoming.finished().await;
                    return Taken::Whole;
                }
                Err(_) => return self.failed(StatusCode::REQUEST_TIMEOUT),
            };
            tokio::select! {
                delivered = self.incoming.deliver(bytes) => if delivered.is_err() {
                    return Taken::Unwanted;
                },
                _ = &mut *answered => return Taken::Answered,
            }
        }
    }

    fn failed(&mut self, status: StatusCode) -> Taken {
        if let Some(fail) = self.fail.take() {
            let _ = fail.send(status);
        }
        Taken::Failed
    }

    async fn drain(&mut self) {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(frame)) = self.body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = rest;
        }
    }
}

/// Another server on the way may think that the body ends elsewhere, and take its rest for a request of its own.
fn is_ambiguous(headers: &HeaderMap) -> bool {
    [TRANSFER_ENCODING, CONTENT_LENGTH, HOST].iter().any(|name| headers.get_all(name).iter().nth(1).is_some())
}

fn lock(requests: &Mutex<u64>) -> MutexGuard<'_, u64> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal(status: StatusCode) -> Answer {
    let (head, body) = unheard(status.as_u16(), RequestId(fresh_id()));
    let body = Either::Right(Full::from(body));
    let mut answer = head::response(head, body).expect("the core writes valid heads");
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
