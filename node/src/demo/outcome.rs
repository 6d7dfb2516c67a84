//! What became of one request: its receipt, the claim that held it, the payout, and whether the ledger still balances.

use std::collections::BTreeSet;
use std::time::Duration;

use labman_proto_core::identity::NodeId;
use serde_json::Value;

use crate::mesh::{Mesh, MeshError, Seen, until};
use crate::openai::Completion;

#[derive(Clone, Debug)]
pub struct Outcome {
    pub completion: Completion,
    pub provider: NodeId,
    pub receipt: Value,
    pub claim: Value,
    pub payout: Value,
    pub ledger: Value,
}

/// A claim is due every second; the rest is what a busy machine may take.
const PAID_WITHIN: Duration = Duration::from_secs(20);

impl Outcome {
    /// Follows the money of a finished completion until its provider is paid.
    pub async fn follow(
        mesh: &Mesh,
        completion: Completion,
        claims_before: &BTreeSet<String>,
    ) -> Result<Self, MeshError> {
        let (provider, _) = mesh.receipt(&completion.request_id, PAID_WITHIN).await?;
        let (receipt, claim) = paid(mesh, provider, &completion.request_id, claims_before).await?;
        let payouts = mesh.fep_admin().get("/payouts?limit=100").await?;
        let payout = payouts["payouts"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|payout| payout["payout_id"] == claim["payout_id"])
            .cloned()
            .unwrap_or_default();
        let ledger = mesh.fep_admin().get("/ledger").await?;
        Ok(Self { completion, provider, receipt, claim, payout, ledger })
    }
}

/// The ids of all claims that were made so far: what a request is paid by comes after them.
pub(super) async fn claim_ids(mesh: &Mesh) -> Result<BTreeSet<String>, MeshError> {
    let mut ids = BTreeSet::new();
    for provider in &mesh.providers {
        ids.extend(provider.claims().await?.iter().map(id_of));
    }
    Ok(ids)
}

async fn paid(
    mesh: &Mesh,
    provider: NodeId,
    request_id: &str,
    claims_before: &BTreeSet<String>,
) -> Result<(Value, Value), MeshError> {
    let provider = mesh.provider(provider).expect("a receipt is found at one of the mesh's providers");
    until("the receipt being claimed and paid", PAID_WITHIN, async || {
        let receipt = provider.receipt(request_id).await?.unwrap_or_default();
        let claims = provider.claims().await?;
        let claim = claims.into_iter().find(|claim| claim["state"] == "paid" && !claims_before.contains(&id_of(claim)));
        Ok(match claim {
            Some(claim) if receipt["state"] == "paid" => Seen::Done((receipt, claim)),
            _ => Seen::Not(format!("the receipt is {}", receipt["state"])),
        })
    })
    .await
}

fn id_of(claim: &Value) -> String {
    claim["claim_id"].as_str().unwrap_or_default().to_string()
}
