//! Which providers may serve a request, and in what order to try them.
//!
//! Order: those that say to have a free slot; then the lowest price of the dearest outcome, in the FEP's billing currency at
//! its quotes (without a quote an offer can't be used; while the FEP's terms are unknown, as the prices stand); then the emptiest, by jobs (this
//! gateway's own, or what the provider said last, whichever is more) over slots; then by chance, so that equals share the
//! load. Who said to be full may have a slot by now, so it is left for last and not out.

use alloc::vec::Vec;

use crate::economics::{Fees, Rate, dearest};
use crate::gossip::{Served, View};
use crate::identity::NodeId;
use crate::keys::Described;
use crate::money::Micros;
use crate::rng::Stream;
use crate::time::{Span, Wall};
use crate::wire::portal::Offer;

/// What a request needs of a provider.
pub(crate) struct Need<'a> {
    /// `tenant:ep:model`, or a bare model name: then any tenant and endpoint will do.
    pub(crate) model: &'a str,
    pub(crate) input_bound: u32,
    /// What the user asked for at most.
    pub(crate) max_output: Option<u32>,
    /// The FEP's terms, where they are known.
    pub(crate) fep: Option<&'a Described>,
    /// Offers must be valid for that long.
    pub(crate) job: Span,
}

impl Need<'_> {
    /// The most output to ask of a provider. Where the user named no bound: what the context leaves, because some
    /// runtimes refuse more; a prompt that may fill the context by its bound will hardly do so by its tokens, so never
    /// less than a quarter.
    pub(crate) fn max_output_at(&self, offer: &Offer) -> u32 {
        let left = offer.context_length.saturating_sub(self.input_bound).max(offer.context_length / 4);
        self.max_output.unwrap_or(left).min(offer.max_output).max(1)
    }
}

/// Why nobody is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCandidate {
    /// Nobody serves the model.
    Unknown,
    /// It is served by somebody who can't be used now: not linked, a currency that is not quoted, offer about to lapse.
    Ineligible,
    /// All that could are full.
    Full,
}

/// The order in which to try providers; never empty.
pub(crate) fn rank(
    view: &View,
    need: &Need<'_>,
    now: Wall,
    linked: impl Fn(&NodeId) -> bool,
    in_flight: impl Fn(&NodeId, &str) -> u32,
    said: impl Fn(&NodeId, &str) -> u32,
    rng: &mut Stream,
) -> Result<Vec<Served>, NoCandidate> {
    let (mut ranked, mut why) = (Vec::new(), NoCandidate::Unknown);
    for (provider, served) in
        view.served().filter(|(_, served)| matches(need.model, &served.offer.content.slug))
    {
        let offer = &served.offer.content;
        let max_output = need.max_output_at(offer);
        let lasts = Wall(offer.valid_until_ms) >= now + need.job;
        let rate = need.fep.map_or(Some(Rate::ONE), |fep| fep.rate(&offer.payout.currency, now));
        let Some(rate) = rate.filter(|_| linked(&provider) && lasts && offer.max_output > 0) else {
            why = worse(why, NoCandidate::Ineligible);
            continue;
        };
        let busy = in_flight(&provider, &offer.slug);
        if busy >= served.slots.saturating_add(served.queue) {
            why = worse(why, NoCandidate::Full);
            continue;
        }
        let Some(bill) = dearest(&offer.price, &Fees::default(), rate, need.input_bound, max_output) else {
            continue;
        };
        let said = said(&provider, &offer.slug);
        let load_per_mille = u64::from(busy.max(said)) * 1_000 / u64::from(served.slots.max(1));
        ranked.push(((said >= served.slots, bill.charge, load_per_mille, rng.next_u64()), served.clone()));
    }
    if ranked.is_empty() {
        return Err(why);
    }
    ranked.sort_by_key(|(rank, _): &((bool, Micros, u64, u64), Served)| *rank);
    Ok(ranked.into_iter().map(|(_, served)| served).collect())
}

/// Does an offered slug serve what was asked for?
pub(crate) fn matches(asked: &str, slug: &str) -> bool {
    if asked == slug {
        return true;
    }
    // With fewer than two colons it is a bare model name.
    asked.matches(':').count() < 2 && slug.splitn(3, ':').nth(2) == Some(asked)
}

/// The reason nearest to success is the most useful one to tell.
fn worse(a: NoCandidate, b: NoCandidate) -> NoCandidate {
    let rank = |why| match why {
        NoCandidate::Unknown => 0,
        NoCandidate::Ineligible => 1,
        NoCandidate::Full => 2,
    };
    if rank(b) > rank(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_matches_any_tenant_and_a_slug_only_itself() {
        assert!(matches("home:gpu:qwen", "home:gpu:qwen"));
        assert!(matches("qwen", "home:gpu:qwen"));
        assert!(matches("qwen:7b", "home:gpu:qwen:7b"));
        assert!(matches("home:gpu:qwen:7b", "home:gpu:qwen:7b"));
        assert!(!matches("gpu:qwen", "home:gpu:qwen"));
        assert!(!matches("away:gpu:qwen", "home:gpu:qwen"));
    }

    #[test]
    fn without_a_bound_of_the_users_the_context_sets_it() {
        let offer = Offer {
            slug: "a:b:c".into(),
            context_length: 2_048,
            max_output: 2_048,
            price: crate::economics::Price::default(),
            payout: crate::wire::portal::PayoutTo { currency: "XTS".parse().unwrap(), address: "x".into() },
            valid_until_ms: 0,
        };
        let most = |input_bound, max_output| {
            Need { model: "c", input_bound, max_output, fep: None, job: Span::default() }
                .max_output_at(&offer)
        };
        assert_eq!(most(148, None), 1_900);
        assert_eq!(most(9_000, None), 512);
        assert_eq!(most(148, Some(10)), 10);
        assert_eq!(most(148, Some(1_000_000)), 2_048);
    }
}
