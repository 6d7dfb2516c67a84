//! Offers in another currency than users are billed in, as a gateway sees them.

use labman_proto_core::economics::Price;
use labman_proto_core::limits::DESCRIPTOR_AT_MOST;
use labman_proto_core::money::Micros;
use labman_proto_core::node::config::Policy;
use labman_proto_core::time::Span;
use labman_proto_core::wire::portal::{Offer, PayoutTo};

use super::lies::{SLUG, prompt};
use super::peer::{Peer, offer};
use super::rig::{OTHER, PEER, Rig, gateway_config, payout_to, price, seal};

/// A provider that asks so many per mille of the usual price, in that currency.
fn provider(rig: &mut Rig, number: u8, currency: &str, per_mille: i64) -> Peer {
    let mut peer = Peer::admitted(rig, number);
    let Price { input_per_mtok, cached_per_mtok, output_per_mtok, per_request } = price();
    let part = |amount: Micros| Micros(amount.0 * per_mille / 1_000);
    let asked = Price {
        input_per_mtok: part(input_per_mtok),
        cached_per_mtok: part(cached_per_mtok),
        output_per_mtok: part(output_per_mtok),
        per_request: part(per_request),
    };
    let payout = PayoutTo { currency: currency.parse().unwrap(), ..payout_to() };
    let offer = Offer { price: asked, payout, ..offer(rig, SLUG) };
    peer.announce(rig, vec![seal(number, offer)]);
    peer
}

#[test]
fn prices_in_several_currencies_are_compared_at_the_fep_s_quotes() {
    // A unit of XTS is worth 0.92 EUR.
    for (per_mille, first) in [(900, OTHER), (915, OTHER), (925, PEER), (1_000, PEER)] {
        let mut config = gateway_config();
        config.gateway.as_mut().unwrap().routing = Policy::named("cheapest").unwrap();
        let mut rig = Rig::new(config);
        let own = provider(&mut rig, PEER, "XTS", 1_000);
        let foreign = provider(&mut rig, OTHER, "EUR", per_mille);
        rig.ask(&prompt(true));
        let asked = (own.jobs(&mut rig).len(), foreign.jobs(&mut rig).len());
        assert_eq!(asked, if first == PEER { (1, 0) } else { (0, 1) }, "{per_mille}");
    }
}

#[test]
fn nobody_is_asked_in_a_currency_whose_quote_is_not_there_or_has_lapsed_until_it_is_there_again() {
    let mut rig = Rig::gateway();
    let foreign = provider(&mut rig, PEER, "EUR", 1_000);
    let asks = |rig: &mut Rig| {
        let user = rig.ask(&prompt(true));
        (rig.status(user), foreign.jobs(rig).len())
    };
    let quote = rig.fep.quotes.clone();
    // It lapses in the middle of a minute, and the gateway does not wait for its end.
    rig.fep.quotes[0].until_ms = rig.now.wall.0 + 90_000;
    rig.pass(Span::from_secs(61));
    assert_eq!(asks(&mut rig), (None, 1));
    rig.fep.quotes.clear();
    rig.pass(Span::from_secs(29));
    assert_eq!(asks(&mut rig), (Some(503), 0));
    rig.fep.quotes = quote;
    rig.pass(Span::from_secs(3));
    assert_eq!(asks(&mut rig), (None, 1), "it has looked when the quote lapsed");
}

#[test]
fn a_gateway_whose_fep_refuses_what_its_terms_allowed_asks_for_them_again() {
    let mut rig = Rig::gateway();
    let _foreign = provider(&mut rig, PEER, "EUR", 1_000);
    let before = rig.fep.called("/v1/descriptor");
    let refusal = br#"{"error":{"code":"bad_request","message":"offer 0: the quote has lapsed"}}"#;
    rig.fep.says = Some(("/v1/authorize", 400, refusal.to_vec()));
    let user = rig.ask(&prompt(true));
    assert_eq!(rig.status(user), Some(503));
    rig.pass(DESCRIPTOR_AT_MOST);
    assert_eq!(rig.fep.called("/v1/descriptor"), before + 1);
}
