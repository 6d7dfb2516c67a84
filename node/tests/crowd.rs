//! Many callers at once from one address: one gateway's at its FEP, one proxy's at a gateway.

mod support;

use labman_node::config::labmand::Labmand as Config;
use labman_node::daemon::fep_keys::FepKeys;
use labman_node::daemon::{DataDir, Labmand};
use labman_node::init;
use labman_node::mesh::{Mesh, Plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Opens that many connections, and only then asks on each: how many are answered.
async fn answered(address: &str, path: &str, connections: usize) -> usize {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut answered = 0;
    for connection in &mut open {
        // One that is beyond the bound was closed: writing or reading may be the first to tell.
        let mut head = [0; 12];
        let asked = connection.write_all(request.as_bytes()).await;
        if asked.is_ok() && connection.read_exact(&mut head).await.is_ok() && &head == b"HTTP/1.1 200" {
            answered += 1;
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fep_hears_all_the_calls_of_a_busy_gateway() {
    let directory = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(Plan::new(directory.path())).await.unwrap();
    let address = mesh.fep.http_addr.unwrap().to_string();
    assert_eq!(answered(&address, "/v1/descriptor", 200).await, 200);
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_takes_as_many_connections_of_one_address_as_its_config_says() {
    let directory = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0".to_string();
    let gateway = init::Gateway {
        network: "crowd".to_string(),
        data_dir: "data".to_string(),
        mesh_listen: any.clone(),
        address: None,
        http_listen: any,
        fep_id: some_fep_id(directory.path()),
        fep_url: "http://127.0.0.1:9".to_string(),
    };
    for (says, taken) in [("# connections_per_address = 32", 32), ("connections_per_address = 50", 50)] {
        let file = directory.path().join("labman.toml");
        std::fs::write(&file, gateway.toml().replace("# connections_per_address = 32", says)).unwrap();
        let labmand = Labmand::start("gateway", Config::read(&file).unwrap()).await.unwrap();
        let address = labmand.http_addr.unwrap().to_string();
        assert_eq!(answered(&address, "/v1/models", 60).await, taken, "{says}");
        labmand.stop().await;
    }
}

/// Nobody asks it.
fn some_fep_id(directory: &std::path::Path) -> String {
    FepKeys::open(&DataDir::open(&directory.join("fep")).unwrap(), "crowd").unwrap().fep_id.to_string()
}
