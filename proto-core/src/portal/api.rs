//! The public surface: the calls of [`wire::portal`](crate::wire::portal).

use crate::machine::StreamId;
use crate::time::Now;
use crate::wire::portal::Descriptor;

use super::answer::{Answer, Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::exchanges::Call;
use super::{authorize, claims, usage};

pub(super) fn handle(fep: &Fep, books: &mut Books, now: Now, stream: StreamId, call: &Call) -> Stepped {
    let path = call.head.path.split('?').next().unwrap_or_default();
    match (call.head.method.as_str(), path) {
        ("POST", "/v1/authorize") => authorize::handle(fep, books, now, stream, &call.body),
        ("POST", "/v1/usage") => usage::report(fep, books, now, stream, &call.body),
        ("POST", "/v1/statements") => usage::statement(fep, books, now, stream, &call.body),
        ("POST", "/v1/claims") => claims::handle(fep, books, now, &call.body),
        ("GET", "/v1/descriptor") => Ok(Step::Answer(Answer::ok(&descriptor(fep)))),
        ("GET", "/v1/health") => Ok(Step::Answer(Answer::ok(&serde_json::json!({ "ok": true })))),
        (method, path) => Err(Refused::not_found(alloc::format!("there is no {method} {path} here"))),
    }
}

fn descriptor(fep: &Fep) -> Descriptor {
    Descriptor {
        fep_id: fep.fep_id,
        network: fep.config.network.clone(),
        currency: fep.config.currency.clone(),
        fees: fep.config.fees,
        rails: alloc::vec!["mock".into()],
    }
}
