//! What became of one request: its receipt, the claim that held it, the payout, and whether the ledger still balances.

use std::time::Duration;

use labman_proto_core::identity::NodeId;
use serde_json::Value;

use crate::admin::Admin;
use crate::mesh::{Mesh, MeshError, Seen, until};
use crate::openai::Completion;

#[derive(Clone, Debug)]
pub struct Outcome {
    pub completion: Completion,
    pub provider: NodeId,
    /// Of the model that was used, in micro-units.
    pub price: Value,
    pub receipt: Value,
    pub claim: Value,
    pub payout: Value,
    pub ledger: Value,
}

/// A claim is due every second; the rest is what a busy machine may take.
const PAID_WITHIN: Duration = Duration::from_secs(20);

impl Outcome {
    /// Follows the money of a finished completion until its provider is paid.
    pub async fn follow(mesh: &Mesh, completion: Completion) -> Result<Self, MeshError> {
        let (provider, _) = mesh.receipt(&completion.request_id, PAID_WITHIN).await?;
        let (receipt, claim) = paid(mesh, provider, &completion.request_id).await?;
        let price = price(mesh, &receipt["slug"]).await?;
        let payouts = mesh.fep_admin().get("/payouts?limit=100").await?;
        let payout = payouts["payouts"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|payout| payout["payout_id"] == claim["payout_id"])
            .cloned()
            .unwrap_or_default();
        let ledger = mesh.fep_admin().get("/ledger").await?;
        Ok(Self { completion, provider, price, receipt, claim, payout, ledger })
    }
}

/// What the gateways have heard that a model costs.
async fn price(mesh: &Mesh, slug: &Value) -> Result<Value, MeshError> {
    for gateway in &mesh.gateways {
        let status = Admin::at(&gateway.admin).get("/status").await?;
        let models = status["models"].as_array().cloned().unwrap_or_default();
        if let Some(model) = models.into_iter().find(|model| model["slug"] == *slug) {
            return Ok(model["price"].clone());
        }
    }
    Ok(Value::Null)
}

/// The receipt and its claim, once both are paid.
async fn paid(mesh: &Mesh, provider: NodeId, request_id: &str) -> Result<(Value, Value), MeshError> {
    let provider = mesh.provider(provider).expect("a receipt is found at one of the mesh's providers");
    until("the receipt being claimed and paid", PAID_WITHIN, async || {
        let receipt = provider.receipt(request_id).await?.unwrap_or_default();
        let claims = provider.claims().await?;
        let claim = claims.into_iter().find(|claim| claim["claim_id"] == receipt["claim_id"]);
        Ok(match claim {
            Some(claim) if receipt["state"] == "paid" && claim["state"] == "paid" => {
                Seen::Done((receipt, claim))
            }
            _ => Seen::Not(format!("the receipt is {}", receipt["state"])),
        })
    })
    .await
}
