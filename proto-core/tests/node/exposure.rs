//! What a FEP may come to owe: no more than the provider's operator allows, whatever it pays and whoever brings receipts.

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::money::Micros;
use labman_proto_core::node::config;
use labman_proto_core::time::Span;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::RefusalCode;
use labman_proto_core::wire::portal::Receipt;
use labman_proto_core::wire::portman::FromPortman;
use serde_json::Value;

use super::jobs::Shop;
use super::peer::{Peer, counts};
use super::portman::{Order, Portman, delivery, model, offer_of, refusal};
use super::rig::{FEP_KEY, PEER, Rig, provider_config};

/// A provider of eight slots whose FEP may owe that many of such a job's most, and a micro-unit less than one more.
fn shop_for(jobs: i64) -> (Shop, Micros) {
    let mut config = provider_config();
    let most = {
        let mut rig = Rig::new(config.clone());
        let _portman = Portman::attach(&mut rig, vec![model("toy", 8)]);
        let gateway = Peer::admitted(&mut rig, PEER);
        let offer = offer_of(&mut rig, &gateway);
        Order::new(&rig, PEER, &offer, 1).auth.attempts[0].max_payout
    };
    config.provider.as_mut().unwrap().exposure = Micros(most.0 * (jobs + 1) - 1).into();
    let mut rig = Rig::new(config::Config { ..config });
    let portman = Portman::attach(&mut rig, vec![model("toy", 8)]);
    let gateway = Peer::admitted(&mut rig, PEER);
    let offer = offer_of(&mut rig, &gateway);
    (Shop { rig, portman, gateway, offer }, most)
}

impl Shop {
    fn asks(&mut self, number: u8) -> (Order, StreamId, Option<RefusalCode>) {
        let order = self.order(number);
        let stream = order.place(&mut self.rig, &mut self.gateway);
        let refused = refusal(&mut self.rig, stream);
        (order, stream, refused)
    }

    fn owed(&mut self, part: &str) -> i64 {
        let shown: Value = self.rig.admin("/exposure");
        shown["feps"][0][part].as_i64().expect("an amount")
    }

    fn receives(&mut self, stream: StreamId, receipt: &Receipt) {
        self.gateway.say(&mut self.rig, stream, Kind::ReceiptDelivery, &delivery(FEP_KEY, receipt));
    }
}

#[test]
fn a_job_that_could_take_what_a_fep_owes_too_far_is_refused_until_less_is_owed() {
    let (mut shop, most) = shop_for(1);
    let (order, stream, refused) = shop.asks(1);
    assert_eq!((refused, shop.owed("in_flight"), shop.owed("total")), (None, most.0, most.0));
    let (_, _, refused) = shop.asks(2);
    assert_eq!(refused, Some(RefusalCode::NotTrusted));
    assert_eq!(shop.portman.started(&mut shop.rig), [1]);
    // Delivered, it owes what was delivered and not the most any more.
    shop.portman.text(&mut shop.rig, 1, "seven tokens", counts(10, 7));
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job: 1, counts: counts(10, 7) });
    let receipt = order.receipt(counts(10, 7));
    assert_eq!((shop.owed("in_flight"), shop.owed("stated")), (0, receipt.payout.0));
    let (_, second, refused) = shop.asks(3);
    assert_eq!(refused, None);
    let (_, _, refused) = shop.asks(4);
    assert_eq!(refused, Some(RefusalCode::NotTrusted));
    shop.rig.reset(second, ResetCode::Cancelled);
    assert_eq!(shop.owed("in_flight"), 0, "nothing came of it");
    shop.receives(stream, &receipt);
    assert_eq!((shop.owed("stated"), shop.owed("unclaimed")), (0, receipt.payout.0));
    shop.rig.pass(Span::from_secs(11));
    assert_eq!(shop.owed("total"), 0, "it has paid");
}

#[test]
fn what_was_earned_is_summed_by_day_model_and_fep_and_is_not_lost() {
    let (mut shop, _) = shop_for(4);
    let (mut earned, mut paid) = (0, 0);
    for number in 1..=3 {
        let (order, stream, _) = shop.asks(number);
        let job = u64::from(number);
        shop.portman.text(&mut shop.rig, job, "seven tokens", counts(10, 7));
        shop.portman.say(&mut shop.rig, &FromPortman::Done { job, counts: counts(10, 7) });
        let receipt = order.receipt(counts(10, 7));
        if number == 3 {
            shop.rig.fep.says = Some(("/v1/claims", 503, Vec::new()));
        }
        shop.receives(stream, &receipt);
        // The same again is not earned again.
        shop.receives(stream, &receipt);
        shop.rig.pass(Span::from_secs(11));
        earned += receipt.payout.0;
        paid += if number < 3 { receipt.payout.0 } else { 0 };
    }
    shop.rig.restart();
    for (by, name) in [("day", "day_ms"), ("model", "slug"), ("fep", "fep_id")] {
        let shown = shop.rig.admin(&format!("/earnings?by={by}"));
        let [line] = &shown["earnings"].as_array().unwrap()[..] else { panic!("{shown}") };
        assert!(!line[name].is_null(), "{line}");
        let figures =
            ["receipts", "input", "output", "earned", "paid"].map(|figure| line[figure].as_i64().unwrap());
        assert_eq!(figures, [3, 30, 21, earned, paid], "{line}");
    }
    assert!(shop.rig.admin("/earnings?by=moon")["error"]["message"].as_str().unwrap().contains("by=model"));
}

#[test]
fn what_was_earned_in_two_currencies_on_one_day_is_not_summed() {
    let (mut shop, _) = shop_for(4);
    for (number, currency) in [(1, "XTS"), (2, "EUR")] {
        shop.rig.config.provider.as_mut().unwrap().portmans[0].payout.currency = currency.parse().unwrap();
        shop.rig.restart();
        shop.portman = Portman::attach(&mut shop.rig, vec![model("toy", 8)]);
        shop.gateway = Peer::admitted(&mut shop.rig, PEER);
        shop.offer = offer_of(&mut shop.rig, &shop.gateway);
        let (order, stream, _) = shop.asks(number);
        shop.portman.text(&mut shop.rig, 1, "seven tokens", counts(10, 7));
        shop.portman.say(&mut shop.rig, &FromPortman::Done { job: 1, counts: counts(10, 7) });
        let receipt = order.receipt(counts(10, 7));
        shop.receives(stream, &receipt);
    }
    let shown = shop.rig.admin("/earnings?by=day");
    let lines = shown["earnings"].as_array().unwrap();
    let currencies: Vec<&str> = lines.iter().map(|line| line["currency"].as_str().unwrap()).collect();
    assert_eq!(currencies, ["XTS", "EUR"], "{shown}");
    assert!(lines.iter().all(|line| line["receipts"] == 1), "{shown}");
}

#[test]
fn what_a_fep_does_not_pay_stays_owed_across_restarts() {
    let (mut shop, _) = shop_for(1);
    let (order, stream, _) = shop.asks(1);
    shop.portman.text(&mut shop.rig, 1, "much", counts(1_000, 100));
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job: 1, counts: counts(1_000, 100) });
    let receipt = order.receipt(counts(1_000, 100));
    shop.rig.fep.says = Some(("/v1/claims", 503, Vec::new()));
    shop.receives(stream, &receipt);
    shop.rig.pass(Span::from_secs(11));
    assert_eq!(shop.owed("in_claim"), receipt.payout.0);
    shop.rig.restart();
    assert_eq!(shop.owed("in_claim"), receipt.payout.0);
    assert_eq!(shop.owed("total"), receipt.payout.0);
}

#[test]
fn each_currency_has_a_limit_of_its_own() {
    let (mut shop, most) = shop_for(1);
    let eur = "EUR".parse().unwrap();
    let exposure = &mut shop.rig.config.provider.as_mut().unwrap().exposure;
    exposure.in_currency.insert(eur, Micros(2 * most.0));
    for (currency, jobs) in [("XTS", 1), ("EUR", 2)] {
        shop.rig.config.provider.as_mut().unwrap().portmans[0].payout.currency = currency.parse().unwrap();
        shop.rig.restart();
        shop.portman = Portman::attach(&mut shop.rig, vec![model("toy", 8)]);
        shop.gateway = Peer::admitted(&mut shop.rig, PEER);
        shop.offer = offer_of(&mut shop.rig, &shop.gateway);
        let number = currency.as_bytes()[0];
        for job in 1..=jobs {
            assert_eq!(shop.asks(number + job).2, None, "{currency} {job}");
        }
        assert_eq!(shop.asks(number).2, Some(RefusalCode::NotTrusted), "{currency}");
    }
    let shown: Value = shop.rig.admin("/exposure");
    let line =
        |currency: &str| shown["feps"].as_array().unwrap().iter().find(|fep| fep["currency"] == currency);
    assert_eq!(line("EUR").unwrap()["limit"], 2 * most.0);
    // What was cut off by the restarts is owed for as far as it was stated: nothing.
    assert_eq!(
        (&line("EUR").unwrap()["total"], &line("XTS").unwrap()["limit"]),
        (&Value::from(2 * most.0), &Value::from(2 * most.0 - 1))
    );
}

#[test]
fn an_operator_has_claimed_at_once_what_waits_and_sees_what_was_paid() {
    let (mut shop, _) = shop_for(4);
    shop.rig.config.provider.as_mut().unwrap().portmans[0].least_payout = Micros(1_000_000);
    shop.rig.restart();
    shop.portman = Portman::attach(&mut shop.rig, vec![model("toy", 8)]);
    shop.gateway = Peer::admitted(&mut shop.rig, PEER);
    shop.offer = offer_of(&mut shop.rig, &shop.gateway);
    let (order, stream, _) = shop.asks(1);
    shop.portman.text(&mut shop.rig, 1, "seven tokens", counts(10, 7));
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job: 1, counts: counts(10, 7) });
    let receipt = order.receipt(counts(10, 7));
    shop.receives(stream, &receipt);
    let mut build = |path: &str| -> Value {
        let stream = shop.rig.request(Surface::Admin, RequestHead::new("POST", path));
        shop.rig.finish(stream);
        serde_json::from_str(&shop.rig.text(stream)).unwrap()
    };
    let told = build("/claims/build");
    assert_eq!(
        (&told["claims"], &told["waits"][0]["sum"]),
        (&serde_json::json!([]), &receipt.payout.0.into())
    );
    let told = build("/claims/build?all=true");
    assert_eq!((&told["claims"][0]["receipts"], &told["waits"]), (&1.into(), &serde_json::json!([])));
    let paid = shop.rig.admin("/payouts");
    let [payout] = &paid["payouts"].as_array().unwrap()[..] else { panic!("{paid}") };
    assert_eq!((&payout["paid"], &payout["rail_tx"]), (&receipt.payout.0.into(), &"tx".into()));
}
