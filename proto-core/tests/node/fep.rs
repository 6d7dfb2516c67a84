//! A Front-End Portal by hand: it grants, settles and pays everything, unless a test twists what it says.

use labman_proto_core::economics::{Counts, Fees, Rate, bill, dearest};
use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::PULL_RECEIPTS;
use labman_proto_core::time::Now;
use labman_proto_core::wire::cbor::Blob;
use labman_proto_core::wire::ids::{AuthId, ClaimId, Hash, PayoutId, ReceiptId};
use labman_proto_core::wire::keys::Quote;
use labman_proto_core::wire::object::{self, Sealed};
use labman_proto_core::wire::portal::{
    Attempt, AuthorizeRequest, Claim, ClaimDecision, Dispute, DisputeDecision, IssuedReceipt, IssuedReceipts,
    JobAuthorization, Offer, Payout, PortalError, PortalErrorBody, PortalErrorCode, Receipt, ReceiptsRequest,
    RejectedLine, Ruling, UsageReport, UsageStatement, Verdict, key_id,
};

use super::rig::{FEP, FEP_KEY, identity, net, node, seal};
use super::rings;

pub(crate) const FEES: Fees = Fees { fep_bps: 100, gateway_bps: 400 };

#[derive(Default)]
pub(crate) struct Fep {
    /// Paths it does not answer.
    pub(crate) silent: Vec<&'static str>,
    /// A fixed answer to a path.
    pub(crate) says: Option<(&'static str, u16, Vec<u8>)>,
    /// What it says of itself, if not the usual.
    pub(crate) descriptor: Option<Vec<u8>>,
    /// Changes an authorization before it is signed.
    pub(crate) twist: Option<fn(&mut JobAuthorization)>,
    /// Changes a claim's decision before it is signed.
    pub(crate) decision: Option<fn(&mut ClaimDecision)>,
    pub(crate) disputes: Vec<(Dispute, Receipt)>,
    /// What its people say of disputes.
    pub(crate) ruling: Option<(Ruling, &'static str)>,
    /// A claim with that receipt is refused as a whole.
    pub(crate) cant_take: Option<ReceiptId>,
    /// Why no receipt of a claim is paid, if none is.
    pub(crate) rejects: Option<&'static str>,
    /// Who signs, if not the FEP.
    pub(crate) signer: Option<u8>,
    /// Changes a receipt before it is signed.
    pub(crate) receipt: Option<fn(&mut Receipt)>,
    pub(crate) quotes: Vec<Quote>,
    /// The quotes that its descriptor had last, and since when it has them.
    told: (Vec<Quote>, u64),
    pub(crate) reports: Vec<UsageReport>,
    pub(crate) statements: Vec<UsageStatement>,
    pub(crate) claims: Vec<Claim>,
    /// What it says that it has issued, and for which claims it has paid.
    pub(crate) issued: Vec<(Receipt, Option<ClaimId>)>,
    /// How often each path was called.
    pub(crate) calls: Vec<String>,
    auths: Vec<(JobAuthorization, Vec<Sealed<Offer>>)>,
}

impl Fep {
    pub(crate) fn new() -> Self {
        let quote = Quote { currency: "EUR".parse().unwrap(), rate: rate("EUR"), until_ms: u64::MAX };
        Self { quotes: vec![quote.clone()], told: (vec![quote], 0), ..Self::default() }
    }

    pub(crate) fn called(&self, path: &str) -> usize {
        self.calls.iter().filter(|call| *call == path).count()
    }

    /// Another descriptor only where its quotes are others.
    fn described(&mut self, now: Now) -> Vec<u8> {
        if self.told.0 != self.quotes {
            self.told = (self.quotes.clone(), now.wall.0);
        }
        let (quotes, issued_ms) = self.told.clone();
        rings::quoting(&identity(FEP_KEY), ring(), issued_ms, FEES, quotes)
    }

    /// Status and body; `None`: nothing, ever.
    pub(crate) fn call(&mut self, now: Now, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        self.calls.push(path.into());
        if path == "/v1/usage" {
            self.reports.push(object::open::<UsageReport>(net(), None, body).expect("a report").content);
        }
        if path == "/v1/statements" {
            let said = object::open::<UsageStatement>(net(), None, body).expect("a statement");
            self.statements.push(said.content);
        }
        if self.silent.contains(&path) {
            return None;
        }
        if let Some((at, status, says)) = &self.says
            && *at == path
        {
            return Some((*status, says.clone()));
        }
        let signer = self.signer.unwrap_or(FEP_KEY);
        let answer = match path {
            "/v1/descriptor" => self.descriptor.clone().unwrap_or_else(|| self.described(now)),
            "/v1/authorize" => {
                let asked = object::open::<AuthorizeRequest>(net(), None, body).expect("a request");
                let gateway = NodeId(asked.signer);
                let offers = asked.content.offers.iter();
                let offers = offers.map(|offer| object::open::<Offer>(net(), None, &offer.0).unwrap());
                let offers: Vec<Sealed<Offer>> = offers.collect();
                let mut auth = authorization(now, gateway, &asked.content, &offers);
                if let Some(twist) = self.twist {
                    twist(&mut auth);
                }
                self.auths.push((auth.clone(), offers));
                seal(signer, auth)
            }
            "/v1/usage" => {
                let report = self.reports.last().unwrap();
                let Some(attempt) = report.attempt else { return Some((204, Vec::new())) };
                if report.statement.is_none() {
                    return Some((202, Vec::new()));
                }
                let known = self.auths.iter().find(|(auth, _)| auth.auth_id == report.auth_id);
                let (auth, offers) = known.expect("a hold");
                let named = &auth.attempts[usize::from(attempt)];
                let offer = offers.iter().find(|offer| offer.hash == named.offer_hash.0).unwrap();
                let stated = stated(report).unwrap_or_default();
                let mut receipt = receipt(auth, &offer.content, attempt, report.accepted, stated);
                if let Some(twist) = self.receipt {
                    twist(&mut receipt);
                }
                seal(signer, receipt)
            }
            "/v1/receipts" => {
                let asked = object::open::<ReceiptsRequest>(net(), None, body).expect("a request");
                let (provider, after) = (NodeId(asked.signer), asked.content.after);
                let behind = self.issued.iter().filter(|(receipt, _)| receipt.sequence > after);
                let receipts = behind.take(PULL_RECEIPTS).map(|(receipt, claim_id)| IssuedReceipt {
                    receipt: Blob(seal(signer, receipt.clone())),
                    claim_id: *claim_id,
                });
                let last = self.issued.last().map_or(0, |(receipt, _)| receipt.sequence);
                let fep_id = identity(FEP).fep_id();
                let (receipts, issued_ms) = (receipts.collect(), now.wall.0);
                seal(signer, IssuedReceipts { fep_id, provider, after, last, receipts, issued_ms })
            }
            // What it says to it a test must know.
            "/v1/statements" => return None,
            "/v1/claims" => {
                let claim = object::open::<Claim>(net(), None, body).expect("a claim");
                self.claims.push(claim.content.clone());
                if self.cant_take.is_some_and(|receipt| claim.content.receipts.contains(&receipt)) {
                    let message = "the claim's total is not the sum of its receipts' payouts".into();
                    let error = PortalErrorBody { code: PortalErrorCode::BadRequest, message };
                    return Some((400, serde_json::to_vec(&PortalError { error }).unwrap()));
                }
                let provider = NodeId(claim.signer);
                let mut decision = paid(&claim.content, provider);
                if let Some(reason) = self.rejects {
                    let rejected = |id: &ReceiptId| RejectedLine { receipt_id: *id, reason: reason.into() };
                    decision.rejected = claim.content.receipts.iter().map(rejected).collect();
                    (decision.verdict, decision.payout) = (Verdict::Rejected, None);
                }
                if let Some(twist) = self.decision {
                    twist(&mut decision);
                }
                seal(signer, decision)
            }
            "/v1/disputes" => {
                let dispute = object::open::<Dispute>(net(), None, body).expect("a dispute").content;
                let receipt =
                    object::open::<Receipt>(net(), None, &dispute.receipt.0).expect("a receipt").content;
                let (claim_id, receipt_id) = (dispute.claim_id, receipt.receipt_id);
                self.disputes.push((dispute, receipt));
                let Some((ruling, answer)) = self.ruling else { return Some((202, Vec::new())) };
                let (fep_id, answer) = (identity(FEP).fep_id(), answer.into());
                let decided_ms = now.wall.0;
                seal(signer, DisputeDecision { fep_id, claim_id, receipt_id, ruling, answer, decided_ms })
            }
            _ => panic!("nobody calls {path}"),
        };
        Some((200, answer))
    }
}

/// At which that currency is quoted.
pub(crate) fn rate(currency: &str) -> Rate {
    match currency {
        "XTS" => Rate::ONE,
        "EUR" => "0.92".parse().unwrap(),
        other => panic!("{other} is not quoted"),
    }
}

/// Its one key is certified for all time.
fn ring() -> Vec<u8> {
    rings::ring(&identity(FEP), 1, vec![rings::always(&identity(FEP_KEY))])
}

pub(crate) fn authorization(
    now: Now,
    gateway: NodeId,
    asked: &AuthorizeRequest,
    offers: &[Sealed<Offer>],
) -> JobAuthorization {
    let fep_id = identity(FEP).fep_id();
    let attempts = offers.iter().map(|offer| {
        let payout_currency = offer.content.payout.currency.clone();
        let rate = rate(payout_currency.as_str());
        let most = dearest(&offer.content.price, &FEES, rate, asked.input_bound, asked.max_output).unwrap();
        Attempt {
            provider: NodeId(offer.signer),
            offer_hash: Hash(offer.hash),
            max_charge: most.charge,
            max_payout: most.payout,
            payout_currency,
            rate,
        }
    });
    let attempts: Vec<Attempt> = attempts.collect();
    JobAuthorization {
        auth_id: AuthId::of(fep_id, gateway, asked.request_id),
        fep_id,
        request_id: asked.request_id,
        gateway,
        issued_ms: now.wall.0,
        ttl_s: asked.ttl_s,
        currency: "XTS".parse().unwrap(),
        hold: attempts.iter().map(|attempt| attempt.max_charge).max().unwrap(),
        fees: FEES,
        input_bound: asked.input_bound,
        max_output: asked.max_output,
        attempts,
        key_id: key_id(&node(FEP_KEY).0),
        streamed: asked.streamed,
    }
}

/// What the provider states in a report's statement.
pub(crate) fn stated(report: &UsageReport) -> Option<Counts> {
    let statement = object::open::<UsageStatement>(net(), None, &report.statement.as_ref()?.0);
    Some(statement.expect("a statement").content.counts)
}

pub(crate) fn receipt(
    auth: &JobAuthorization,
    offer: &Offer,
    attempt: u8,
    settled: Counts,
    stated: Counts,
) -> Receipt {
    let named = &auth.attempts[usize::from(attempt)];
    let bill = bill(&offer.price, &auth.fees, named.rate, &settled).unwrap();
    Receipt {
        receipt_id: ReceiptId::of(auth.fep_id, auth.auth_id, attempt),
        fep_id: auth.fep_id,
        provider_node_id: named.provider,
        gateway_node_id: auth.gateway,
        auth_id: auth.auth_id,
        attempt,
        offer_hash: named.offer_hash,
        settled,
        accepted: settled,
        stated,
        billing_currency: auth.currency.clone(),
        charge: bill.charge,
        payout_to: offer.payout.clone(),
        payout: bill.payout,
        rate: named.rate,
        authorized_ms: auth.issued_ms,
        issued_ms: auth.issued_ms + 1_000,
        key_id: auth.key_id,
        sequence: 1,
        request_id: auth.request_id,
    }
}

pub(crate) fn paid(claim: &Claim, provider: NodeId) -> ClaimDecision {
    ClaimDecision {
        claim_id: claim.claim_id,
        fep_id: claim.fep_id,
        verdict: Verdict::Accepted,
        rejected: Vec::new(),
        payout: Some(Payout {
            payout_id: PayoutId::of(claim.fep_id, provider, claim.claim_id),
            to: claim.payout_to.clone(),
            amount: claim.total,
            rail_tx: "tx".into(),
        }),
        decided_ms: claim.issued_ms,
    }
}
