//! Is this job paid for, by somebody we trust, at a price that is ours? Asked before any work.

use super::offers::Known;
use super::rows::{AuthKey, AuthorizationRow};
use super::{Provider, rows};
use crate::economics::dearest;
use crate::identity::NodeId;
use crate::limits::{JOB_TOTAL, SETTLE_MARGIN};
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::openai::request::JobBody;
use crate::time::{Span, Wall};
use crate::wire::mesh::{ProxyRequest, Refusal, RefusalCode};
use crate::wire::object::open;
use crate::wire::portal::JobAuthorization;

/// How long a used authorization is remembered while its receipt is missing.
const AWAIT_RECEIPT: Span = Span::from_secs(24 * 60 * 60);

/// A job that may be run.
pub(super) struct Admitted {
    pub(super) row: AuthorizationRow,
    pub(super) known: Known,
    pub(super) body: JobBody,
}

impl Admitted {
    pub(super) fn key(&self) -> AuthKey {
        (self.row.auth.auth_id, self.row.attempt)
    }
}

fn no(code: RefusalCode, message: &str) -> Refusal {
    Refusal { code, message: message.into() }
}

impl Provider {
    /// The cheap questions first; signatures only for who passes them.
    pub(super) fn admit(
        &self,
        cx: &Cx<'_>,
        gateway: NodeId,
        request: &ProxyRequest,
        body: &[u8],
    ) -> Result<Admitted, Refusal> {
        use RefusalCode::{BadAuthorization, BadRequest, Busy, ModelNotAvailable, NotTrusted, OfferChanged};
        // Whether an authorization is still good can't be told.
        if cx.clock_is_wrong() {
            return Err(no(ModelNotAvailable, "this provider's clock is wrong"));
        }
        if cx.me.leaves {
            return Err(no(ModelNotAvailable, "this provider is being shut down"));
        }
        if !self.feps.contains(&request.fep_id) {
            return Err(no(NotTrusted, "this provider does not work for that FEP"));
        }
        let Some(known) = self.offers.get(request.offer_hash, cx.now.wall) else {
            return Err(no(OfferChanged, "the offer is not one of this provider's any more"));
        };
        match self.sockets.has_room(&known.ep, &known.model) {
            None => return Err(no(ModelNotAvailable, "the model does not run here now")),
            Some(false) => return Err(no(Busy, "all slots of the model are taken")),
            Some(true) => {}
        }
        let body = JobBody::parse(body).map_err(|what| no(BadRequest, what))?;
        let auth = open::<JobAuthorization>(cx.me.network, Some(request.fep_id.0), &request.authorization.0);
        let auth =
            auth.map_err(|_| no(BadAuthorization, "the authorization's signature does not hold"))?.content;
        let attempt = auth.attempts.get(usize::from(request.attempt));
        let attempt = attempt.filter(|attempt| attempt.provider == cx.me.node_id);
        let Some(attempt) = attempt else {
            return Err(no(BadAuthorization, "the authorization does not name this provider"));
        };
        if auth.gateway != gateway || auth.request_id != request.request_id || auth.fep_id != request.fep_id {
            return Err(no(BadAuthorization, "the authorization is for another gateway or request"));
        }
        if attempt.offer_hash != request.offer_hash {
            return Err(no(BadAuthorization, "the authorization is for another offer"));
        }
        // Counted from the FEP's issue time: an old authorization can't be shown again later.
        let expires = Wall(auth.issued_ms) + Span::from_secs(u64::from(auth.ttl_s));
        if cx.now.wall + JOB_TOTAL + SETTLE_MARGIN > expires {
            return Err(no(BadAuthorization, "the authorization has not enough time left"));
        }
        let offer = &known.offer.content;
        if body.max_output > auth.max_output.min(offer.max_output) || body.input_bound > auth.input_bound {
            return Err(no(BadAuthorization, "the request is larger than what was authorised"));
        }
        let most = dearest(&offer.price, &auth.fees, body.input_bound, body.max_output);
        if most.is_none_or(|bill| bill.payout > attempt.max_payout) {
            return Err(no(BadAuthorization, "the authorization covers less than the request may cost"));
        }
        if self.receipts.has_used((auth.auth_id, request.attempt)) && !mutant(Mutant::AuthorizationReplayed) {
            return Err(no(BadAuthorization, "the authorization was used before"));
        }
        let owed = self.receipts.exposures().get(&request.fep_id).copied().unwrap_or_default().total();
        let too_much = owed.checked_add(attempt.max_payout).is_none_or(|owed| owed > self.config.exposure);
        if too_much && !mutant(Mutant::ExposureUnbounded) {
            return Err(no(NotTrusted, "that FEP owes this provider as much as it may"));
        }
        let row = rows::AuthorizationRow {
            attempt: request.attempt,
            offer: offer.clone(),
            offer_hash: request.offer_hash,
            stated: None,
            receipt: rows::Owed::Awaited,
            keep_until_ms: (cx.now.wall + AWAIT_RECEIPT).0.max(expires.0),
            auth,
        };
        Ok(Admitted { row, known: known.clone(), body })
    }
}
