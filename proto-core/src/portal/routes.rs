//! Every call of a portal, once: what answers it, and what its OpenAPI document says of it.

use crate::http::Surface;
use crate::limits::PORTAL_LIST;
use crate::machine::StreamId;
use crate::rng::Stream;
use crate::time::Now;

use super::answer::{Refused, Stepped};
use super::books::{Books, Fep};
use super::exchanges::Call;
use super::{admin, api};

/// What a call is worked on with.
pub(super) struct Cx<'a> {
    pub(super) fep: &'a Fep,
    pub(super) books: &'a mut Books,
    /// For API keys.
    pub(super) random: &'a mut Stream,
    pub(super) now: Now,
    pub(super) stream: StreamId,
}

pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    pub(super) run: fn(&mut Cx<'_>, &Call) -> Stepped,
}

pub(super) enum Takes {
    Nothing,
    Query(&'static [Field]),
    /// All fields, and no others.
    Json(&'static [Field]),
    /// A signed object of that name in protocol.md.
    Object(&'static str),
}

pub(super) enum Gives {
    Json(&'static [Field]),
    /// Likewise, with a field that is shown this once, and no more where the call is repeated under its idempotency key.
    Secret(&'static [Field], &'static str),
    Object(&'static str),
    /// An object, or 204 where there is nothing to say.
    ObjectOrNothing(&'static str),
    /// This surface's OpenAPI document.
    Document,
}

#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) is: Is,
    pub(super) about: &'static str,
}

#[derive(Clone, Copy)]
pub(super) enum Is {
    Text,
    UserId,
    NodeId,
    /// Decimal text, with at most six decimals.
    Amount,
    Count,
    /// One that may pass 32 bits.
    Count64,
    Flag,
    Month,
    OneOf(&'static [&'static str]),
    /// Of objects, whose fields `about` names.
    List,
    /// Bytes in hex.
    Hex,
    /// Text, or null.
    MaybeText,
}

pub(super) const fn field(name: &'static str, is: Is, about: &'static str) -> Field {
    Field { name, is, about }
}

/// How many lines a listing gives, and which.
pub(super) const PAGE: &[Field] = &[
    field("limit", Is::Count, "at most so many lines, the newest first; never more than 1000"),
    field("skip", Is::Count, "but for the newest so many"),
];

const _: () = assert!(PORTAL_LIST == 1000, "as PAGE says");

pub(super) fn of(surface: Surface) -> &'static [Route] {
    match surface {
        Surface::Public => api::ROUTES,
        Surface::Admin => admin::ROUTES,
    }
}

pub(super) fn find(call: &Call) -> Result<&'static Route, Refused> {
    let (method, path) = (call.head.method.as_str(), call.path());
    let mut routes = of(call.surface).iter();
    routes
        .find(|route| (route.method, route.path) == (method, path))
        .ok_or_else(|| Refused::not_found(alloc::format!("there is no {method} {path} here")))
}
