//! What a provider keeps in memory: decided by what gateways say is asked for, done when no job is in the way.

use labman_proto_core::limits::HOSTING_SOON;
use labman_proto_core::money::Micros;
use labman_proto_core::node::config::{Hosted, Hosting, Pricing, Shelf, Strategy};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{Cheapest, Market, RefusalCode, Wanted};
use labman_proto_core::wire::portman::{FromPortman, Shelved, ToPortman};

use super::peer::{Peer, counts};
use super::portman::{Order, Portman, model, offer_of, refusal};
use super::rig::{PEER, Rig, provider_config};

const EPOCH: Span = Span::from_secs(60);
const GIB: u64 = 1 << 30;

/// A provider with room for one of two models, of which the toy runs.
struct Lab {
    rig: Rig,
    gateway: Peer,
    portman: Portman,
}

fn hosted() -> Hosted {
    Hosted { memory: 4 * GIB, load: Span::from_secs(4), slots: None, pin: false, never: false }
}

impl Lab {
    fn open(change: impl FnOnce(&mut Shelf)) -> Self {
        let mut config = provider_config();
        let provider = config.provider.as_mut().unwrap();
        provider.hosting = Hosting { epoch: EPOCH, ..Hosting::default() };
        let models = [("toy".into(), hosted()), ("tide".into(), hosted())];
        let mut shelf = Shelf { memory: 6 * GIB, models: models.into() };
        change(&mut shelf);
        provider.portmans[0].shelf = Some(shelf);
        let mut rig = Rig::new(config);
        let portman = Portman::attach(&mut rig, Vec::new());
        let mut gateway = Peer::called(&mut rig, PEER);
        gateway.greet(&mut rig);
        let mut lab = Self { rig, gateway, portman };
        lab.runs(&["toy"], &["tide"]);
        lab
    }

    fn runs(&mut self, models: &[&str], shelf: &[&str]) {
        let models = models.iter().map(|id| model(id, 2)).collect();
        let shelf = shelf.iter().map(|id| Shelved { id: (*id).into(), loading: false }).collect();
        self.portman.say(&mut self.rig, &FromPortman::Hello { models, shelf });
    }

    /// Its gateway's users ask for so many jobs of each in an hour.
    fn asked(&mut self, wanted: &[(&str, u32)]) {
        // Nobody else serves the toy.
        let told = |(model, jobs): &(&str, u32)| Wanted {
            model: (*model).into(),
            jobs: *jobs,
            slots: if *model == "toy" { 2 } else { 0 },
            ..Wanted::default()
        };
        let toy = wanted.iter().all(|(model, _)| *model != "toy").then_some(("toy", 0));
        let wanted = wanted.iter().chain(&toy).map(told);
        let market = Market { wanted: wanted.collect() };
        self.gateway.say(&mut self.rig, self.gateway.control, Kind::Market, &cbor::encode(&market));
    }

    /// What the Portman is told to do with its models until an epoch has passed.
    fn orders(&mut self) -> Vec<String> {
        let heard = self.portman.hears(&mut self.rig).into_iter();
        let name = |order| match order {
            ToPortman::LoadModel { model, .. } => Some(format!("load {model}")),
            ToPortman::UnloadModel { model, .. } => Some(format!("unload {model}")),
            ToPortman::SetConcurrency { model, slots } => Some(format!("{model} x {slots}")),
            _ => None,
        };
        heard.filter_map(name).collect()
    }

    fn first_epoch(&mut self) -> Vec<String> {
        self.rig.pass(HOSTING_SOON);
        self.rig.pass(EPOCH);
        self.orders()
    }

    fn line(&mut self, model: &str) -> serde_json::Value {
        let plan = self.rig.admin("/plan");
        let models = plan["endpoints"][0]["models"].as_array().cloned().unwrap_or_default();
        models.into_iter().find(|line| line["model"] == model).unwrap_or_default()
    }
}

#[test]
fn what_is_asked_for_takes_the_place_of_what_is_not() {
    let mut lab = Lab::open(|_| {});
    lab.asked(&[("tide", 100)]);
    assert_eq!(lab.first_epoch(), ["unload toy"], "nobody uses it");
    assert_eq!(lab.line("tide")["state"], "waits for room");
    lab.runs(&[], &["toy", "tide"]);
    assert_eq!(lab.orders(), ["load tide"]);
    lab.runs(&["tide"], &["toy"]);
    assert_eq!(offer_of(&mut lab.rig, &lab.gateway).content.slug, "acme:box:tide");
    let line = lab.line("tide");
    assert_eq!((&line["state"], &line["wanted_per_hour"]), (&"runs".into(), &100.into()));
    assert_eq!(lab.rig.admin("/plan")["loads"], 1);
}

#[test]
fn a_model_ends_what_it_has_begun_and_begins_nothing_before_it_goes() {
    let mut lab = Lab::open(|_| {});
    let offer = offer_of(&mut lab.rig, &lab.gateway);
    Order::new(&lab.rig, PEER, &offer, 1).place(&mut lab.rig, &mut lab.gateway);
    lab.asked(&[("tide", 100)]);
    lab.rig.pass(HOSTING_SOON);
    lab.portman.text(&mut lab.rig, 1, "x", counts(3, 1));
    assert_eq!(lab.first_epoch(), [""; 0], "a job runs");
    assert_eq!(lab.line("toy")["state"], "draining");
    let late = Order::new(&lab.rig, PEER, &offer, 2).place(&mut lab.rig, &mut lab.gateway);
    assert_eq!(refusal(&mut lab.rig, late), Some(RefusalCode::ModelNotAvailable));
    lab.portman.say(&mut lab.rig, &FromPortman::Done { job: 1, counts: counts(3, 1) });
    assert_eq!(lab.orders(), ["unload toy"]);
}

#[test]
fn what_is_asked_for_as_much_is_not_worth_a_change() {
    let mut lab = Lab::open(|_| {});
    lab.asked(&[("toy", 100), ("tide", 96)]);
    assert_eq!(lab.first_epoch(), [""; 0]);
    let line = lab.line("tide");
    assert_eq!(line["verdict"], "leave");
    assert!(line["turns_at"].as_i64() > line["worth_per_hour"].as_i64(), "{line}");
}

#[test]
fn the_operator_s_word_is_above_what_is_asked_for() {
    let mut lab = Lab::open(|shelf| shelf.models.get_mut("toy").unwrap().pin = true);
    lab.asked(&[("tide", 10_000)]);
    assert_eq!(lab.first_epoch(), [""; 0]);
    assert!(lab.line("tide")["why"].as_str().unwrap().contains("more than there is for it"));

    let mut lab = Lab::open(|shelf| shelf.models.get_mut("tide").unwrap().never = true);
    lab.asked(&[("tide", 10_000)]);
    assert_eq!(lab.first_epoch(), [""; 0]);

    let mut lab = Lab::open(|shelf| shelf.models.get_mut("toy").unwrap().slots = Some(7));
    assert_eq!(lab.orders(), ["toy x 7"]);
    lab.rig.pass(EPOCH);
}

#[test]
fn a_model_that_can_t_be_loaded_is_not_tried_again_at_once() {
    let mut lab = Lab::open(|shelf| shelf.memory = 8 * GIB);
    lab.asked(&[("tide", 100)]);
    assert_eq!(lab.first_epoch(), ["load tide"], "there is room for both");
    let message = "the file is broken".into();
    lab.portman.say(&mut lab.rig, &FromPortman::NotMoved { model: "tide".into(), message });
    lab.rig.pass(EPOCH);
    lab.rig.pass(EPOCH);
    assert_eq!(lab.orders(), [""; 0]);
    (0..3).for_each(|_| lab.rig.pass(EPOCH));
    assert_eq!(lab.orders().first().map(String::as_str), Some("load tide"));
}

#[test]
fn a_model_that_waits_for_room_in_vain_is_offered_on() {
    let mut lab = Lab::open(|_| {});
    lab.asked(&[("tide", 100)]);
    assert_eq!(lab.first_epoch(), ["unload toy"]);
    let message = "it is stuck".into();
    lab.portman.say(&mut lab.rig, &FromPortman::NotMoved { model: "toy".into(), message });
    assert_eq!(offer_of(&mut lab.rig, &lab.gateway).content.slug, "acme:box:toy");
}

#[test]
fn an_unload_that_came_to_nothing_does_not_hold_up_all_that_follows() {
    let mut lab = Lab::open(|_| {});
    lab.asked(&[("tide", 100)]);
    assert_eq!(lab.first_epoch(), ["unload toy"]);
    let message = "it is stuck".into();
    lab.portman.say(&mut lab.rig, &FromPortman::NotMoved { model: "toy".into(), message });
    lab.rig.pass(EPOCH);
    assert_eq!(lab.line("toy")["why"], "it could not be moved, and is tried again later");
    assert_eq!(lab.line("tide")["state"], "on the shelf");
    assert_eq!(lab.orders(), [""; 0]);
    (0..4).for_each(|_| lab.rig.pass(EPOCH));
    assert_eq!(lab.orders(), ["unload toy"]);
}

#[test]
fn what_is_loading_is_not_given_up_for_what_is_praised_meanwhile() {
    let mut lab = Lab::open(|shelf| {
        shelf.memory = 8 * GIB;
        shelf.models.insert("dusk".into(), hosted());
    });
    lab.runs(&["toy"], &["tide", "dusk"]);
    lab.asked(&[("tide", 100), ("toy", 100)]);
    assert_eq!(lab.first_epoch(), ["load tide"]);
    let loading =
        vec![Shelved { id: "tide".into(), loading: true }, Shelved { id: "dusk".into(), loading: false }];
    lab.portman.say(&mut lab.rig, &FromPortman::Hello { models: vec![model("toy", 2)], shelf: loading });
    lab.asked(&[("tide", 1), ("toy", 100), ("dusk", 80)]);
    lab.rig.pass(EPOCH);
    assert_eq!(lab.line("tide")["why"], "it is being loaded");
    assert!(!lab.orders().contains(&"load dusk".into()), "there is no room");
}

#[test]
fn a_job_whose_authorization_is_being_stored_is_in_the_way_of_an_unload() {
    let mut lab = Lab::open(|_| {});
    let offer = offer_of(&mut lab.rig, &lab.gateway);
    lab.asked(&[("tide", 100)]);
    lab.rig.pass(HOSTING_SOON);
    lab.rig.store_held = true;
    // There is always one that came a moment ago.
    for number in 1..20 {
        Order::new(&lab.rig, PEER, &offer, number).place(&mut lab.rig, &mut lab.gateway);
        lab.rig.pass(Span::from_secs(5));
        if lab.line("toy")["state"] == "draining" {
            return assert_eq!(lab.orders(), [""; 0]);
        }
    }
    panic!("nothing was decided");
}

#[test]
fn a_neighbour_s_invention_is_worth_no_more_than_what_slots_can_do() {
    let mut lab = Lab::open(|_| {});
    lab.asked(&[("tide", u32::MAX), ("toy", 300)]);
    lab.first_epoch();
    let worth = lab.line("tide")["worth_per_hour"].as_i64().unwrap();
    let honest = lab.line("toy")["worth_per_hour"].as_i64().unwrap();
    assert!(worth < 3 * honest, "{worth} to {honest}");
}

#[test]
fn whoever_names_no_quantisation_is_counted_for_one_of_them() {
    let mut lab = Lab::open(|shelf| {
        shelf.memory = 12 * GIB;
        shelf.models = ["toy", "tide-q4_0", "tide-q8_0"].map(|model| (model.into(), hosted())).into();
    });
    lab.runs(&["toy"], &["tide-q4_0", "tide-q8_0"]);
    lab.asked(&[("Tide", 100)]);
    assert_eq!(lab.first_epoch(), ["load tide-q4_0"]);
    let wanted = |lab: &mut Lab, model| lab.line(model)["wanted_per_hour"].clone();
    assert_eq!((wanted(&mut lab, "tide-q4_0"), wanted(&mut lab, "tide-q8_0")), (100.into(), 0.into()));
}

#[test]
fn nobody_undercuts_himself() {
    let mut config = provider_config();
    let provider = config.provider.as_mut().unwrap();
    provider.hosting = Hosting { epoch: EPOCH, ..Hosting::default() };
    provider.portmans[0].pricing = Pricing { strategy: Strategy::Undercut, ..Pricing::default() };
    let mut rig = Rig::new(config);
    Portman::attach(&mut rig, vec![model("toy", 2), model("toy-q4_0", 2)]);
    let mut gateway = Peer::called(&mut rig, PEER);
    gateway.greet(&mut rig);
    rig.pass(HOSTING_SOON);
    // What it hears of is its own.
    let configured = provider_config().provider.unwrap().portmans[0].price;
    let price = configured.input_per_mtok.0 + configured.output_per_mtok.0;
    let cheapest = Cheapest { currency: "XTS".parse().unwrap(), price: Micros(price) };
    let wanted = ["toy", "toy-q4_0"].map(|model| Wanted {
        model: model.into(),
        jobs: 10,
        slots: 2,
        cheapest: vec![cheapest.clone()],
        ..Wanted::default()
    });
    let market = cbor::encode(&Market { wanted: wanted.to_vec() });
    gateway.say(&mut rig, gateway.control, Kind::Market, &market);
    (0..10).for_each(|_| rig.pass(EPOCH));
    let price = offer_of(&mut rig, &gateway).content.price;
    assert!(price.output_per_mtok >= configured.output_per_mtok, "{price:?}");
}

/// A job is thought to take 20 s, so that 3,600 in an hour would take 20 slots, and at half of what users pay at most they are half of
/// all. Of 40 slots' worth others have two, and leave nine tenths of those who would pay their price: two slots' worth of whom
/// pay 1 - 2 / (40 * 9/10) of the most, which is twice the configured price.
#[test]
fn who_has_few_slots_asks_for_what_those_would_pay_whom_others_have_none_for() {
    let mut config = provider_config();
    let provider = config.provider.as_mut().unwrap();
    provider.hosting = Hosting { epoch: EPOCH, ..Hosting::default() };
    provider.portmans[0].pricing = Pricing { strategy: Strategy::Capacity, floor: 1, ..Pricing::default() };
    let configured = provider.portmans[0].price;
    let mut rig = Rig::new(config);
    Portman::attach(&mut rig, vec![model("toy", 2)]);
    let mut gateway = Peer::called(&mut rig, PEER);
    gateway.greet(&mut rig);
    rig.pass(HOSTING_SOON);
    let price = Micros(configured.input_per_mtok.0 + configured.output_per_mtok.0);
    let cheapest = vec![Cheapest { currency: "XTS".parse().unwrap(), price }];
    let wanted = Wanted { model: "toy".into(), jobs: 3_600, slots: 4, cheapest, ..Wanted::default() };
    let market = cbor::encode(&Market { wanted: vec![wanted] });
    gateway.say(&mut rig, gateway.control, Kind::Market, &market);
    (0..20).for_each(|_| rig.pass(EPOCH));
    let asked = offer_of(&mut rig, &gateway).content.price.output_per_mtok.0;
    let permille = asked * 1_000 / configured.output_per_mtok.0;
    assert!((1_880..=1_890).contains(&permille), "{permille}");
}

#[test]
fn a_price_falls_while_nobody_comes_and_not_below_its_floor() {
    let mut config = provider_config();
    let provider = config.provider.as_mut().unwrap();
    provider.hosting = Hosting { epoch: EPOCH, ..Hosting::default() };
    provider.portmans[0].pricing =
        Pricing { strategy: Strategy::Utilisation, floor: 900, ..Pricing::default() };
    let configured = provider.portmans[0].price;
    let mut rig = Rig::new(config);
    Portman::attach(&mut rig, vec![model("toy", 2)]);
    let gateway = Peer::admitted(&mut rig, PEER);
    assert_eq!(offer_of(&mut rig, &gateway).content.price, configured);
    rig.pass(HOSTING_SOON);
    (0..10).for_each(|_| rig.pass(EPOCH));
    let price = offer_of(&mut rig, &gateway).content.price;
    assert_eq!(price.output_per_mtok.0, configured.output_per_mtok.0 * 9 / 10);
}
