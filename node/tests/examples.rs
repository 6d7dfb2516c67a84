//! The files under `examples/` are what `init` writes, and every daemon takes them.
//! `LABMAN_BLESS=1 cargo test -p labman-node --test examples` writes them anew.

use std::path::{Path, PathBuf};

use labman_node::config::{fep, labmand, portman};
use labman_node::init;
use labman_proto_core::identity::Identity;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// Ids of nobody: their keys are in this line.
fn id(secret: u8) -> String {
    Identity::from_secret(&[secret; 32]).node_id().to_string()
}

fn written_by_init() -> [(&'static str, String); 5] {
    let token = "put-a-long-random-text-here";
    let gateway = init::Gateway {
        network: "labman".to_string(),
        data_dir: "/var/lib/labmand".to_string(),
        mesh_listen: "0.0.0.0:7700".to_string(),
        address: Some("203.0.113.7:7700".to_string()),
        http_listen: "0.0.0.0:8080".to_string(),
        fep_id: id(1),
        fep_url: "http://127.0.0.1:8800".to_string(),
    };
    let provider = init::Provider {
        network: "labman".to_string(),
        data_dir: "/var/lib/labmand".to_string(),
        gateway_id: id(2),
        gateway_addr: "203.0.113.7:7700".to_string(),
        fep_id: id(1),
        fep_url: "http://203.0.113.7:8800".to_string(),
        tenant: "my-lab".to_string(),
        ep: "local".to_string(),
        token: token.to_string(),
        portman_listen: "127.0.0.1:8765".to_string(),
        runtime_url: "http://127.0.0.1:11434/v1".to_string(),
        currency: "XTS".to_string(),
        payout_address: "test:my-lab".to_string(),
    };
    let unpaid = init::Unpaid {
        network: "labman".to_string(),
        data_dir: "/var/lib/labmand".to_string(),
        http_listen: "127.0.0.1:8080".to_string(),
        tenant: "my-lab".to_string(),
        ep: "local".to_string(),
        token: token.to_string(),
        portman_listen: "127.0.0.1:8765".to_string(),
        runtime_url: "http://127.0.0.1:11434/v1".to_string(),
    };
    let portman = init::Portman {
        labman_url: "ws://127.0.0.1:8765/".to_string(),
        token: token.to_string(),
        runtime_url: "http://127.0.0.1:11434/v1".to_string(),
    };
    let fep = init::Fep {
        network: "labman".to_string(),
        data_dir: "/var/lib/labman-fep".to_string(),
        listen: "0.0.0.0:8800".to_string(),
        currency: "XTS".to_string(),
    };
    [
        ("gateway.toml", gateway.toml()),
        ("provider.toml", provider.toml()),
        ("unpaid.toml", unpaid.toml()),
        ("portman.toml", portman.toml()),
        ("fep.toml", fep.toml()),
    ]
}

#[test]
fn the_examples_are_what_init_writes() {
    for (name, expected) in written_by_init() {
        let path = examples().join(name);
        if std::env::var_os("LABMAN_BLESS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap();
        assert_eq!(found, expected, "examples/{name} differs: see the head of this test");
    }
}

#[test]
fn every_daemon_takes_its_example() {
    let gateway = labmand::Labmand::read(&examples().join("gateway.toml")).unwrap();
    assert_eq!(gateway.node.gateway.unwrap().fep, gateway.node.feps[0].fep_id);
    let unpaid = labmand::Labmand::read(&examples().join("unpaid.toml")).unwrap();
    assert!(unpaid.node.unpaid.is_some() && unpaid.node.gateway.is_none());
    assert_eq!(gateway.node.addresses, ["203.0.113.7:7700"]);

    let provider = labmand::Labmand::read(&examples().join("provider.toml")).unwrap();
    let portman_entry = &provider.node.provider.as_ref().unwrap().portmans[0];
    assert_eq!(portman_entry.price.output_per_mtok.0, 2_000_000);
    assert_eq!(provider.embedded[0].token, portman_entry.token);
    assert_eq!(provider.mesh_listen, None, "a provider only dials out");

    let portman = portman::read_portman(&examples().join("portman.toml")).unwrap();
    assert_eq!(portman.runtime_url, "http://127.0.0.1:11434/v1");

    let fep = fep::Fep::read(&examples().join("fep.toml")).unwrap();
    assert_eq!(fep.portal.currency.as_str(), "XTS");
}
