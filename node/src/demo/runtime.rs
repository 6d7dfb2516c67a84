//! A real runtime whose models never appear: asked directly what is wrong with it.

use std::time::Duration;

use labman_io_tokio::http_client;
use serde_json::Value;

const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Why a Portman finds no models there, and which option to look at.
pub(super) async fn trouble(url: &str, key: Option<&str>) -> String {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    let models = format!("{url}/models");
    let asked = async {
        let answer = http_client::request("GET", &models, &headers, Vec::new()).await?;
        let status = answer.status;
        Ok::<_, http_client::HttpError>((status, answer.rest().await?))
    };
    match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
        Err(_) => format!("{models} does not answer within {ANSWERS_WITHIN:?}; correct --runtime-url"),
        Ok(Err(why)) => format!("{why}, and correct --runtime-url"),
        Ok(Ok((401 | 403, _))) if key.is_none() => {
            "it asks for a key; give it with --runtime-key".to_string()
        }
        Ok(Ok((status @ (401 | 403), _))) => format!("it answers {status}; correct --runtime-key"),
        Ok(Ok((200, body))) => listed(&models, &body),
        Ok(Ok((status, _))) => {
            format!("{models} answers {status}; correct --runtime-url, whose path is often /v1")
        }
    }
}

fn listed(models: &str, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match body["data"].as_array() {
        None => format!("what {models} answers is no list of models; correct --runtime-url"),
        Some(none) if none.is_empty() => format!("{models} lists no model; let the runtime load one"),
        Some(some) => format!("{models} lists {}, yet the gateway has heard of none", some.len()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A runtime that gives everybody the same answer.
    async fn runtime(status: &'static str, body: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await.unwrap();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn a_runtime_without_models_is_told_with_the_option_to_look_at() {
        for (status, body, key, words) in [
            ("401 Unauthorized", "", None, "asks for a key; give it with --runtime-key"),
            ("403 Forbidden", "", Some("sk-x"), "answers 403; correct --runtime-key"),
            ("404 Not Found", "", None, "answers 404; correct --runtime-url"),
            ("200 OK", "<html>", None, "no list of models; correct --runtime-url"),
            ("200 OK", r#"{"data":[]}"#, None, "lists no model"),
            ("200 OK", r#"{"data":[{"id":"a"}]}"#, None, "lists 1, yet"),
        ] {
            let told = trouble(&runtime(status, body).await, key).await;
            assert!(told.contains(words), "{status}: {told}");
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let told = trouble(&format!("http://{free}/v1"), None).await;
        assert!(told.contains("does not answer") && told.contains("--runtime-url"), "{told}");
    }
}
