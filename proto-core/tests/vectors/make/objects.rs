//! Signed objects: the papers of the economy.

use labman_proto_core::wire::cbor;
use labman_proto_core::wire::object::MOST;
use serde_json::{Value, json};

use super::{Sample, Suite};
use crate::craft::{bent_object, malleable, object_of, resigned, signature_of, with};
use crate::format::File;
use crate::keys::{FEP_KEY, GATEWAY, NETWORK, OTHER, PROVIDER, node};
use crate::samples::{
    OBJECTS, Paper, claim_decision, dispute_decision, offer, receipt, usage_report, usage_statement,
};

const WHAT: &str = "object";

fn expecting(name: &str, signer: Option<u8>) -> Value {
    let mut context = json!({ "network": NETWORK, "object": name });
    if let Some(signer) = signer {
        context["signer"] = hex::encode(node(signer).0).into();
    }
    context
}

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Signed objects: protocol.md, section 4.");
    for Paper { name, kind, signer, payload, optional } in &OBJECTS {
        let sample = Sample { payload: payload(), optional };
        let context = expecting(name, Some(*signer));
        suite.message(WHAT, &context, name, &sample, |payload| object_of(*signer, *kind, payload));
        let good = object_of(*signer, *kind, &payload());
        suite.good(WHAT, expecting(name, None), format!("{name}: whoever signed it"), &good);
        suite.bad(
            "object.signer",
            WHAT,
            expecting(name, Some(OTHER)),
            format!("{name}: by another than it must be by"),
            &good,
        );
        let as_next = kind % OBJECTS.len() as u16 + 1;
        let foreign = object_of(*signer, as_next, &payload());
        suite.bad(
            "object.foreign",
            WHAT,
            context.clone(),
            format!("{name}: the same content as an object of kind {as_next}"),
            foreign,
        );
        let mut relabelled = object_of(*signer, as_next, &payload());
        relabelled[1..3].copy_from_slice(&kind.to_be_bytes());
        suite.bad("object.signature", WHAT, context, format!("{name}: signed as kind {as_next}"), relabelled);
    }
    envelope(&mut suite);
    fields(&mut suite);
    suite.0
}

fn envelope(suite: &mut Suite) {
    let context = || expecting("Offer", Some(PROVIDER));
    let payload = cbor::encode(&offer());
    let good = object_of(PROVIDER, 1, &payload);
    let bent = |bend: fn(&mut Vec<u8>)| bent_object(PROVIDER, &good, bend);
    suite.bad("object.foreign", WHAT, context(), "version 2, well signed", bent(|bytes| bytes[0] = 2));
    suite.bad("object.foreign", WHAT, context(), "another network, well signed", bent(|bytes| bytes[3] ^= 1));
    suite.bad(
        "object.length",
        WHAT,
        context(),
        "payload_len one too large, well signed",
        bent(|bytes| bytes[46] += 1),
    );
    suite.bad(
        "object.length",
        WHAT,
        context(),
        "payload_len 2^32 - 1, well signed",
        bent(|bytes| bytes[43..47].fill(255)),
    );
    suite.bad("object.length", WHAT, context(), "a byte behind it", [good.as_slice(), &[0]].concat());
    suite.bad("object.length", WHAT, context(), "a byte is missing of it", &good[..good.len() - 1]);
    suite.bad("object.length", WHAT, context(), "too short for a header", &good[..110]);
    suite.bad("object.length", WHAT, context(), "nothing", []);
    let pad = |len: usize| {
        let room = len - good.len() - 6;
        with(&payload, 1_000, Some(&[&[0x59][..], &(room as u16).to_be_bytes(), &vec![0; room]].concat()))
    };
    let full = object_of(PROVIDER, 1, &pad(MOST));
    assert_eq!(full.len(), MOST);
    suite.good(WHAT, context(), "as long as an object may be", full);
    suite.bad(
        "object.length",
        WHAT,
        context(),
        "a byte longer than an object may be",
        object_of(PROVIDER, 1, &pad(MOST + 1)),
    );
    let malleable = resigned(&good, &malleable(&signature_of(&good)));
    suite.bad("object.signature", WHAT, context(), "S + L in place of S", malleable);
    let mut named = good.clone();
    named[11..43].copy_from_slice(&node(GATEWAY).0);
    suite.bad(
        "object.signature",
        WHAT,
        expecting("Offer", Some(GATEWAY)),
        "says another signer's name",
        named,
    );
    let mesh = {
        let message = [crate::craft::MESH, &good[..good.len() - 64]].concat();
        resigned(&good, &crate::craft::raw_sign(PROVIDER, &message))
    };
    suite.bad("object.signature", WHAT, context(), "signed in the domain of frames", mesh);
    suite.bad("cbor.cut-short", WHAT, context(), "an empty payload", object_of(PROVIDER, 1, b""));
}

fn fields(suite: &mut Suite) {
    let payload = cbor::encode(&offer());
    let to =
        |currency: &str| [&[0xa2, 0x00][..], &cbor::encode(&currency), &[0x01], &cbor::encode(&"a")].concat();
    for (name, currency) in [("of three letters", "EUR"), ("of eight letters and digits", "USDC2026")] {
        let object = object_of(PROVIDER, 1, &with(&payload, 4, Some(&to(currency))));
        suite.good(WHAT, expecting("Offer", None), format!("Offer: a currency {name}"), object);
    }
    for currency in ["eur", "EU", "ABCDEFGHI", "EU\u{20ac}", ""] {
        let object = object_of(PROVIDER, 1, &with(&payload, 4, Some(&to(currency))));
        suite.bad("content", WHAT, expecting("Offer", None), format!("Offer: currency {currency:?}"), object);
    }
    let price = |micros: &[u8]| [&[0xa4, 0x00][..], micros, &[0x01, 0x00, 0x02, 0x00, 0x03, 0x00]].concat();
    let priced = |micros: &[u8]| object_of(PROVIDER, 1, &with(&payload, 3, Some(&price(micros))));
    let most = [0x1b, 0x7f, 255, 255, 255, 255, 255, 255, 255];
    suite.good(WHAT, expecting("Offer", None), "Offer: a price of 2^63 - 1 micros", priced(&most));
    suite.good(
        WHAT,
        expecting("Offer", None),
        "Offer: a negative price is read, and refused by whoever books",
        priced(&[0x20]),
    );
    let over = [0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0];
    suite.bad("content", WHAT, expecting("Offer", None), "Offer: a price of 2^63 micros", priced(&over));
    let under = [0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0];
    suite.bad(
        "content",
        WHAT,
        expecting("Offer", None),
        "Offer: a price of -2^63 - 1 micros",
        priced(&under),
    );
    let context = with(&payload, 1, Some(&[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]));
    suite.bad(
        "content",
        WHAT,
        expecting("Offer", None),
        "Offer: a context length of 2^32",
        object_of(PROVIDER, 1, &context),
    );

    let decision = cbor::encode(&claim_decision());
    let verdict = |n| object_of(FEP_KEY, 7, &with(&decision, 2, Some(&[n])));
    suite.good(WHAT, expecting("ClaimDecision", None), "ClaimDecision: verdict 0", verdict(0));
    suite.good(WHAT, expecting("ClaimDecision", None), "ClaimDecision: verdict 2", verdict(2));
    suite.bad("content", WHAT, expecting("ClaimDecision", None), "ClaimDecision: verdict 3", verdict(3));
    let decision = cbor::encode(&dispute_decision());
    let ruling = |n| object_of(FEP_KEY, 17, &with(&decision, 3, Some(&[n])));
    suite.good(WHAT, expecting("DisputeDecision", None), "DisputeDecision: ruling 0", ruling(0));
    suite.bad("content", WHAT, expecting("DisputeDecision", None), "DisputeDecision: ruling 2", ruling(2));
    let paper = cbor::encode(&receipt());
    let rate = |rate: &[u8]| object_of(FEP_KEY, 5, &with(&paper, 14, Some(rate)));
    suite.bad(
        "content",
        WHAT,
        expecting("Receipt", None),
        "Receipt: a rate of one number",
        rate(&[0x81, 0x01]),
    );
    suite.bad(
        "content",
        WHAT,
        expecting("Receipt", None),
        "Receipt: a rate of three",
        rate(&[0x83, 1, 1, 1]),
    );
    suite.bad("content", WHAT, expecting("Receipt", None), "Receipt: a rate of nothing", rate(&[0x82, 0, 1]));
    suite.bad(
        "content",
        WHAT,
        expecting("Receipt", None),
        "Receipt: a rate over nothing",
        rate(&[0x82, 1, 0]),
    );
    let beyond = [0x82, 1, 0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0x01];
    suite.bad("content", WHAT, expecting("Receipt", None), "Receipt: a rate over 10^12 + 1", rate(&beyond));
    let id = object_of(FEP_KEY, 5, &with(&paper, 0, Some(&[&[0x51][..], &[0; 17]].concat())));
    suite.bad("content", WHAT, expecting("Receipt", None), "Receipt: a receipt id of 17 bytes", id);
    let report = cbor::encode(&usage_report());
    let attempt = object_of(GATEWAY, 4, &with(&report, 2, Some(&[0x19, 0x01, 0x00])));
    suite.bad("content", WHAT, expecting("UsageReport", None), "UsageReport: attempt 256", attempt);
    let release = object_of(GATEWAY, 4, &with(&report, 5, Some(&[0x41, 0x00])));
    suite.bad("content", WHAT, expecting("UsageReport", None), "UsageReport: releases are no list", release);
    let none = object_of(GATEWAY, 4, &with(&report, 5, Some(&[0x80])));
    suite.good(WHAT, expecting("UsageReport", None), "UsageReport: no releases", none);

    let statement = cbor::encode(&usage_statement());
    let stated = |key, value: &[u8]| object_of(PROVIDER, 10, &with(&statement, key, Some(value)));
    let context = || expecting("UsageStatement", None);
    suite.good(WHAT, context(), "UsageStatement: end 1, cancelled", stated(4, &[1]));
    suite.good(WHAT, context(), "UsageStatement: end 2, broken", stated(4, &[2]));
    suite.good(WHAT, context(), "UsageStatement: end 3, forgotten", stated(4, &[3]));
    suite.bad("content", WHAT, context(), "UsageStatement: end 4", stated(4, &[4]));
    let count = [0xa3, 0, 0, 1, 0, 2, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0];
    suite.bad("content", WHAT, context(), "UsageStatement: a count of 2^32", stated(3, &count));
    let short = [&[0x58, 31][..], &[0; 31]].concat();
    suite.bad("content", WHAT, context(), "UsageStatement: a transcript of 31 bytes", stated(7, &short));
}
