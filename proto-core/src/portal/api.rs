//! The public surface: the calls of [`wire::portal`](crate::wire::portal).

use crate::http::Surface;

use super::answer::{Answer, Step};
use super::routes::{Gives, Is, Route, Takes, field};
use super::{authorize, claims, disputes, openapi, pulls, usage};

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
        about: "A gateway reports what was delivered, and gets the receipt; 202 until more is known; 204 if nothing is owed",
        takes: Takes::Object("UsageReport"),
        gives: Gives::ObjectOrNothing("Receipt"),
        run: |cx, call| usage::report(cx.fep, cx.books, cx.now, cx.stream, &call.body),
    },
    Route {
        method: "POST",
        path: "/v1/statements",
        about: "A provider states what it delivered, and gets the receipt; 503 while nothing of it is acknowledged",
        takes: Takes::Object("UsageStatement"),
        gives: Gives::ObjectOrNothing("Receipt"),
        run: |cx, call| usage::statement(cx.fep, cx.books, cx.now, cx.stream, &call.body),
    },
    Route {
        method: "POST",
        path: "/v1/receipts",
        about: "A provider asks for its receipts behind a number, and which of them were claimed",
        takes: Takes::Object("ReceiptsRequest"),
        gives: Gives::Object("IssuedReceipts"),
        run: |cx, call| pulls::handle(cx.fep, cx.books, cx.now, &call.body),
    },
    Route {
        method: "POST",
        path: "/v1/claims",
        about: "A provider claims what its receipts say; 503 until the money has arrived, then the decision for ever",
        takes: Takes::Object("Claim"),
        gives: Gives::Object("ClaimDecision"),
        run: |cx, call| claims::handle(cx.fep, cx.books, cx.now, &call.body),
    },
    Route {
        method: "POST",
        path: "/v1/disputes",
        about: "A provider disputes that a line was not paid; 202 until this FEP's people have decided, then that for ever",
        takes: Takes::Object("Dispute"),
        gives: Gives::Object("DisputeDecision"),
        run: |cx, call| disputes::handle(cx.fep, cx.now, &call.body),
    },
    Route {
        method: "GET",
        path: "/v1/descriptor",
        about: "Who this FEP is, which keys sign for it, and what it takes and pays",
        takes: Takes::Nothing,
        gives: Gives::Object("Descriptor"),
        run: |cx, _| Ok(Step::Answer(Answer::Object(cx.fep.signing.descriptor()?))),
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
