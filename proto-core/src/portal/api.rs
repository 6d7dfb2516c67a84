//! The public surface: the calls of [`wire::portal`](crate::wire::portal).

use crate::http::Surface;
use crate::wire::portal::Descriptor;

use super::answer::{Answer, Step};
use super::books::Fep;
use super::routes::{Gives, Is, Route, Takes, field};
use super::{authorize, claims, openapi, usage};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/authorize",
        about: "A gateway asks for money to be set aside for one job",
        takes: Takes::Object("AuthorizeRequest"),
        gives: Gives::Object("JobAuthorization"),
        run: |cx, call| authorize::handle(cx.fep, cx.books, cx.now, cx.stream, &call.body),
    },
    Route {
        method: "POST",
        path: "/v1/usage",
        about: "A gateway reports what was delivered, and gets the receipt; or that nothing was",
        takes: Takes::Object("UsageReport"),
        gives: Gives::ObjectOrNothing("Receipt"),
        run: |cx, call| usage::handle(cx.fep, cx.books, cx.now, cx.stream, &call.body),
    },
    Route {
        method: "POST",
        path: "/v1/claims",
        about: "A provider claims what its receipts say",
        takes: Takes::Object("Claim"),
        gives: Gives::Object("ClaimDecision"),
        run: |cx, call| claims::handle(cx.fep, cx.books, cx.now, &call.body),
    },
    Route {
        method: "GET",
        path: "/v1/descriptor",
        about: "Who this FEP is, and what it takes",
        takes: Takes::Nothing,
        gives: Gives::Json(&[
            field("fep_id", Is::NodeId, "its id"),
            field("network", Is::Text, "its network"),
            field("currency", Is::Text, "what users are billed and providers paid in"),
            field("fees", Is::Map, "fep_bps, gateway_bps"),
            field("rails", Is::Texts, "by which providers are paid"),
        ]),
        run: |cx, _| Ok(Step::Answer(Answer::ok(&descriptor(cx.fep)))),
    },
    Route {
        method: "GET",
        path: "/v1/health",
        about: "Does it answer?",
        takes: Takes::Nothing,
        gives: Gives::Json(&[field("ok", Is::Flag, "true")]),
        run: |_, _| Ok(Step::Answer(Answer::ok(&serde_json::json!({ "ok": true })))),
    },
    Route {
        method: "GET",
        path: "/openapi.json",
        about: "This document",
        takes: Takes::Nothing,
        gives: Gives::Document,
        run: |_, _| Ok(Step::Answer(Answer::ok(&openapi::document(Surface::Public)))),
    },
];

fn descriptor(fep: &Fep) -> Descriptor {
    Descriptor {
        fep_id: fep.fep_id,
        network: fep.config.network.clone(),
        currency: fep.config.currency.clone(),
        fees: fep.config.fees,
        rails: alloc::vec!["mock".into()],
    }
}
