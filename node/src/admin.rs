//! Calls to a daemon's admin socket: JSON in, JSON out.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The operator's side of one daemon.
#[derive(Clone, Debug)]
pub struct Admin {
    socket: PathBuf,
    /// Under which calls that change something are made.
    idempotency_key: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Unreachable(labman_io_tokio::admin_client::AdminError),
    /// In the daemon's own words.
    #[error("{message}")]
    Refused { status: u16, code: String, message: String },
    #[error("{} answered {status} with something that is not JSON; are both of the same version?", socket.display())]
    Garbled { socket: PathBuf, status: u16 },
}

impl Admin {
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_path_buf(), idempotency_key: None }
    }

    /// So that a call whose answer was lost can be made again.
    pub fn under_key(self, idempotency_key: Option<String>) -> Self {
        Self { idempotency_key, ..self }
    }

    pub fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    pub async fn get(&self, path: &str) -> Result<Value, AdminError> {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, AdminError> {
        self.call("POST", path, Some(body.to_string().into_bytes())).await
    }

    async fn call(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Result<Value, AdminError> {
        let key = self.idempotency_key.as_deref().filter(|_| method == "POST");
        let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        let (status, answer) =
            labman_io_tokio::admin_client::call_with(&self.socket, method, path, &headers, body)
                .await
                .map_err(AdminError::Unreachable)?;
        let answer: Value = serde_json::from_slice(&answer)
            .map_err(|_| AdminError::Garbled { socket: self.socket.clone(), status })?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let text = |field: &str| answer["error"][field].as_str().unwrap_or("no reason given").to_string();
        Err(AdminError::Refused { status, code: text("code"), message: text("message") })
    }
}
