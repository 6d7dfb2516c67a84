//! Is this job paid for, by somebody we trust, at a price that is ours? Asked before any work.

use alloc::{boxed::Box, format};

use super::offers::Known;
use super::rows::AuthorizationRow;
use super::running::FULL;
use super::sockets::Room;
use super::{Party, Provider, rows};
use crate::economics::{Rate, dearest};
use crate::identity::NodeId;
use crate::limits::{JOB_TOTAL, SETTLE_MARGIN, UNACKED_INPUT};
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::openai::request::JobBody;
use crate::time::{Span, Time, Wall};
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
    pub(super) since: Time,
}

/// A job that may not.
pub(super) struct Declined {
    pub(super) refusal: Refusal,
    /// Where it is paid for, and could be shown again: that nothing will be owed for it is to be stored, and signed for.
    pub(super) row: Option<Box<AuthorizationRow>>,
}

fn no(code: RefusalCode, message: &str) -> Declined {
    Declined { refusal: Refusal { code, message: message.into() }, row: None }
}

impl Provider {
    /// First whether it is paid for: then whether it is taken on.
    pub(super) fn admit(
        &self,
        cx: &mut Cx<'_>,
        gateway: NodeId,
        request: &ProxyRequest,
        body: &[u8],
    ) -> Result<Admitted, Declined> {
        use RefusalCode::{BadAuthorization, ModelNotAvailable, NotTrusted, OfferChanged};
        // Whether an authorization is still good can't be told.
        if cx.clock_is_wrong() {
            return Err(no(ModelNotAvailable, "this provider's clock is wrong"));
        }
        if !self.feps.contains(&request.fep_id) {
            return Err(no(NotTrusted, "this provider does not work for that FEP"));
        }
        let Some(known) = self.offers.get(request.offer_hash, cx.now.wall) else {
            return Err(no(OfferChanged, "the offer is not one of this provider's any more"));
        };
        let auth = open::<JobAuthorization>(cx.me.network, None, &request.authorization.0);
        let auth = auth.map_err(|_| no(BadAuthorization, "the authorization's signature does not hold"))?;
        if let Some(descriptor) = &request.descriptor {
            // What is none changes nothing: the authorization's key is then not known.
            let _ = cx.feps.take(cx.me.network, cx.now.mono, request.fep_id, Some(gateway), &descriptor.0);
        }
        if let Err(why) = cx.feps.binds_now(request.fep_id, &auth, cx.now.wall) {
            return Err(no(BadAuthorization, &format!("the authorization can't be used: {why}")));
        }
        let auth = auth.content;
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
        if self.receipts.has_used((auth.auth_id, request.attempt)) && !mutant(Mutant::AuthorizationReplayed) {
            return Err(no(BadAuthorization, "the authorization was used before"));
        }
        if !auth.pays_as_asked(attempt, &known.offer.content) {
            return Err(no(
                BadAuthorization,
                "the authorization pays in another currency, or at a wrong rate",
            ));
        }
        let (max_payout, rate) = (attempt.max_payout, attempt.rate);
        let row = AuthorizationRow {
            attempt: request.attempt,
            offer: known.offer.content.clone(),
            offer_hash: request.offer_hash,
            stated: None,
            statement: None,
            ack: None,
            receipt: rows::Owed::Awaited,
            keep_until_ms: (cx.now.wall + AWAIT_RECEIPT).0.max(expires.0),
            auth,
        };
        match self.takes_on(cx, known, &row, max_payout, rate, body) {
            Ok(body) => Ok(Admitted { row, known: known.clone(), body, since: cx.now.mono }),
            Err((code, message)) => Err(Declined {
                refusal: Refusal { code, message: message.into() },
                row: Some(Box::new(AuthorizationRow { receipt: rows::Owed::Nothing, ..row })),
            }),
        }
    }

    /// A job that is paid for: can it be run, is it what was paid for, and may it be owed for?
    fn takes_on(
        &self,
        cx: &Cx<'_>,
        known: &Known,
        row: &AuthorizationRow,
        max_payout: Micros,
        rate: Rate,
        body: &[u8],
    ) -> Result<JobBody, (RefusalCode, &'static str)> {
        use RefusalCode::{BadAuthorization, BadRequest, Busy, ModelNotAvailable, NotTrusted};
        if cx.me.leaves {
            return Err((ModelNotAvailable, "this provider is being shut down"));
        }
        if self.hosting.is_leaving(&known.ep, &known.model) {
            return Err((ModelNotAvailable, "the model makes room for others"));
        }
        match self.room(known) {
            Room::NoModel => return Err((ModelNotAvailable, "the model does not run here now")),
            Room::Full => return Err((Busy, FULL)),
            Room::Slot => {}
        }
        let body = JobBody::parse(body).map_err(|what| (BadRequest, what))?;
        let (auth, offer) = (&row.auth, &row.offer);
        let each_fits = body.task.output_each().is_some() || body.max_output_each <= offer.max_output;
        let too_much = body.max_output > auth.max_output || !each_fits;
        if too_much || body.input_bound > auth.input_bound {
            return Err((BadAuthorization, "the request is larger than what was authorised"));
        }
        let most = dearest(&offer.price, &auth.fees, rate, body.input_bound, body.max_output);
        if most.is_none_or(|bill| bill.payout > max_payout) {
            return Err((BadAuthorization, "the authorization covers less than the request may cost"));
        }
        if self.denials.denies(Party::Fep(auth.fep_id), cx.now.wall) {
            return Err((NotTrusted, "that FEP did not deliver, and is not worked for now"));
        }
        if self.denials.denies(Party::Gateway(auth.gateway), cx.now.wall) {
            return Err((NotTrusted, "that gateway did not deliver, and is not worked for now"));
        }
        let currency = &offer.payout.currency;
        let owed = self.receipts.exposures().remove(&(auth.fep_id, currency.clone()));
        let owed = owed.unwrap_or_default().total().checked_add(max_payout);
        let too_much = owed.is_none_or(|owed| owed > self.config.exposure.of(currency));
        if too_much && !mutant(Mutant::ExposureUnbounded) {
            return Err((NotTrusted, "that FEP owes this provider as much as it may"));
        }
        // One job is always taken on, however large: it may be the first of many.
        let unacked = self.unacked_input(cx, &auth.gateway);
        let too_much = unacked > 0 && unacked + u64::from(auth.input_bound) > UNACKED_INPUT;
        if too_much {
            return Err((NotTrusted, "that gateway has acknowledged too little of what was done for it"));
        }
        Ok(body)
    }
}
