//! Derived ids, and ids as people write them.

use labman_proto_core::identity::FepId;
use serde_json::{Value, json};

use super::Suite;
use crate::format::File;
use crate::keys::{FEP, GATEWAY, PROVIDER, identity, node};

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Ids: protocol.md, sections 1 and 7.");
    let derive = |what: &str| json!({ "derive": what });
    for name in ["", "vectors", "labman", "a longer name, with caf\u{e9}"] {
        suite.good("derive", derive("net id"), format!("the net id of {name:?}"), name);
    }
    let FepId(fep) = identity(FEP).fep_id();
    for request in [[0; 16], [0x0e; 16], [0xff; 16]] {
        let input = [&fep[..], &node(GATEWAY).0, &request].concat();
        suite.good(
            "derive",
            derive("auth id"),
            format!("the auth id of request {}", hex::encode(request)),
            input,
        );
    }
    for attempt in [0, 1, 255] {
        let input = [&fep[..], &[0xa0; 16], &[attempt]].concat();
        suite.good("derive", derive("receipt id"), format!("the receipt id of attempt {attempt}"), input);
    }
    let input = [&fep[..], &node(PROVIDER).0, &[0xc1; 16]].concat();
    suite.good("derive", derive("payout id"), "the payout id of a claim", input);
    for key in ["sk-vector", "sk-\u{fc}ml\u{e4}ut"] {
        suite.good("derive", derive("key digest"), format!("the digest of API key {key:?}"), key);
    }
    suite.good("derive", derive("key id"), "the id of a FEP's signing key", fep);

    for model in [
        "qwen",
        "Qwen/Qwen2.5-7B",
        "qwen:7b",
        "home:gpu:qwen3:8b",
        "home:gpu:hf.co/Qwen/QWEN3-8B:Q4",
        "gpt-oss:20b",
        "qwen/",
        "70b",
        "home:gpu:70b",
        "home:gpu:",
        "",
        "\u{e9}lan",
        "na\u{ef}ve",
    ] {
        suite.good("derive", derive("topic"), format!("the topic of model {model:?}"), model);
    }

    let text = |bytes: &[u8]| bs58::encode(bytes).into_string();
    for (name, id) in [("a gateway", node(GATEWAY).0), ("all zeros", [0; 32]), ("all ones", [255; 32])] {
        suite.good("id-text", Value::Null, format!("the id of {name}"), text(&id));
    }
    let good = text(&node(GATEWAY).0);
    for (name, wrong) in [
        ("nothing", String::new()),
        ("31 bytes", text(&[7; 31])),
        ("33 bytes", text(&[7; 33])),
        ("a letter that is not in the alphabet", good.replacen(|c: char| c.is_ascii_digit(), "0", 1)),
        ("white space in front", format!(" {good}")),
        ("hex", hex::encode(node(GATEWAY).0)),
    ] {
        suite.bad("id.text", "id-text", Value::Null, format!("no id: {name}"), wrong);
    }
    suite.0
}
