//! To whom a gateway goes first: by what the user asks for, by what it has seen, and by what it can explain afterwards.

use labman_proto_core::economics::Price;
use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::{
    BREAKER_FAILURES, BREAKER_FIRST, BYGONE_FOR, CONTESTED_FOR, HEARD_WITHIN, PATIENCE_LEAST, PROBATION,
    TURN, WARM_UP,
};
use labman_proto_core::machine::StreamId;
use labman_proto_core::money::Micros;
use labman_proto_core::node::config::Policy;
use labman_proto_core::time::Span;
use labman_proto_core::wire::mesh::{Refusal, RefusalCode};
use labman_proto_core::wire::portal::{End, Offer};
use serde_json::{Value, json};

use super::lies::{SLUG, prompt};
use super::loads::{says, says_of};
use super::peer::{Peer, Served, counts, offer};
use super::rig::{NODE, OTHER, PEER, Rig, STRANGER, gateway_config, node, price, seal};

fn gateway(policy: &str) -> Rig {
    let mut config = gateway_config();
    config.gateway.as_mut().unwrap().routing = Policy::named(policy).unwrap();
    Rig::new(config)
}

/// A provider of `tenant:box:qwen` whose tokens cost so many times the usual.
fn seller(rig: &mut Rig, number: u8, tenant: &str, times: i64) -> Peer {
    seller_among(rig, number, tenant, times, Vec::new())
}

/// The same, which is linked to these gateways.
fn seller_among(rig: &mut Rig, number: u8, tenant: &str, times: i64, gateways: Vec<NodeId>) -> Peer {
    let mut peer = Peer::admitted(rig, number);
    let usual = price();
    let price = Price {
        input_per_mtok: Micros(usual.input_per_mtok.0 * times),
        output_per_mtok: Micros(usual.output_per_mtok.0 * times),
        ..usual
    };
    let offer = Offer { price, ..offer(rig, &format!("{tenant}:box:qwen")) };
    peer.announce_among(rig, vec![seal(number, offer)], gateways);
    peer
}

fn question(provider: Value) -> Value {
    json!({
        "model": "qwen", "stream": true, "max_tokens": 100, "provider": provider,
        "messages": [{ "role": "user", "content": "a question" }],
    })
}

/// Who of them is asked for it, by place; all their jobs end at once with that.
fn asked(rig: &mut Rig, peers: &mut [&mut Peer], body: &Value) -> Option<usize> {
    rig.ask(body);
    let mut who = None;
    for (at, peer) in peers.iter_mut().enumerate() {
        for mut job in peer.jobs(rig) {
            assert_eq!(who.replace(at), None, "one at a time");
            serve(rig, &mut job);
        }
    }
    who
}

fn serve(rig: &mut Rig, job: &mut Served) {
    job.text(rig, counts(10, 2), "an answer");
    let frame = job.end_frame(job.statement(counts(10, 2), End::Complete), None);
    rig.deliver(job.stream, &frame);
}

fn error(rig: &Rig, user: StreamId) -> (u16, Value) {
    let body: Value = serde_json::from_str(&rig.text(user)).unwrap();
    (rig.status(user).unwrap(), body["error"].clone())
}

#[test]
fn a_request_says_by_what_to_sort_and_whom_to_try_and_not() {
    let mut rig = gateway("balanced");
    let mut dear = seller(&mut rig, PEER, "dear", 3);
    let mut cheap = seller(&mut rig, OTHER, "cheap", 1);
    let peers = &mut [&mut dear, &mut cheap];
    for _ in 0..5 {
        assert_eq!(asked(&mut rig, peers, &question(json!({ "sort": "price" }))), Some(1));
        assert_eq!(asked(&mut rig, peers, &question(json!({ "only": ["dear"] }))), Some(0));
        assert_eq!(asked(&mut rig, peers, &question(json!({ "ignore": ["cheap:box"] }))), Some(0));
        let order = json!({ "order": [node(PEER).to_string(), "cheap"] });
        assert_eq!(asked(&mut rig, peers, &question(order)), Some(0));
    }
}

#[test]
fn who_costs_more_than_the_user_pays_is_not_asked_and_who_asks_too_much_is_told_so() {
    let mut rig = gateway("balanced");
    let mut dear = seller(&mut rig, PEER, "dear", 3);
    let usual = price().output_per_mtok;
    let most = |times: i64| json!({ "max_price": { "completion": Micros(usual.0 * times).to_string() } });
    // The FEP and the gateway take their part, too.
    let user = rig.ask(&question(most(3)));
    let (status, told) = error(&rig, user);
    assert_eq!((status, &told["code"], &told["param"]), (404, &json!("no_provider"), &json!("provider")));
    assert_eq!(asked(&mut rig, &mut [&mut dear], &question(most(4))), Some(0));
    let user = rig.ask(&question(json!({ "sort": "mood" })));
    let (status, told) = error(&rig, user);
    assert_eq!((status, &told["param"]), (400, &json!("provider.sort")));
    let mut ignored = question(json!({ "require_parameters": true }));
    ignored["telepathy"] = json!(true);
    let user = rig.ask(&ignored);
    assert_eq!(error(&rig, user).1["param"], "telepathy");
}

#[test]
fn a_model_has_many_names() {
    let mut config = gateway_config();
    config.gateway.as_mut().unwrap().aliases =
        [("fast".into(), vec!["llama".into(), "qwen2.5".into()])].into();
    let mut rig = Rig::new(config);
    let mut peer = Peer::admitted(&mut rig, PEER);
    let offer = offer(&rig, "home:box:qwen2.5-Q4_0");
    peer.announce(&mut rig, vec![seal(PEER, offer)]);
    let by = |name: &str, provider: Value| {
        let mut body = question(provider);
        body["model"] = json!(name);
        body
    };
    for name in ["home:box:qwen2.5-Q4_0", "qwen2.5-Q4_0", "Qwen/Qwen2.5", "QWEN2.5", "qwen2.5-int4", "fast"] {
        assert_eq!(asked(&mut rig, &mut [&mut peer], &by(name, json!({}))), Some(0), "{name}");
        assert_eq!(get(&mut rig, &format!("/v1/models/{name}"))["id"], name);
        let escaped = name.replace(':', "%3A").replace('/', "%2F");
        assert_eq!(get(&mut rig, &format!("/v1/models/{escaped}"))["id"], name);
    }
    rig.pass(HEARD_WITHIN);
    for name in ["qwen2.5-Q8_0", "llama", "home:box:qwen2.5"] {
        let user = rig.ask(&by(name, json!({})));
        assert_eq!(error(&rig, user).1["code"], "model_not_found", "{name}");
    }
    let user = rig.ask(&by("fast", json!({ "quantizations": ["int8", "fp16"] })));
    assert_eq!(error(&rig, user).1["param"], "provider");
    let market = rig.admin("/market");
    let demand = market["models"].as_array().unwrap().iter().map(|one| {
        (one["model"].as_str().unwrap(), one["jobs"].as_u64().unwrap(), one["unserved"].as_u64().unwrap())
    });
    let demand: std::collections::BTreeSet<_> = demand.collect();
    let nobodys = [("qwen2.5-Q8_0", 0, 1), ("llama", 0, 1), ("qwen2.5", 0, 1)];
    let all = nobodys.into_iter().chain([("qwen2.5-Q4_0", 6, 0)]).collect();
    assert_eq!(demand, all, "whoever does not want what there is is no demand");
    let listed = get(&mut rig, "/v1/models");
    let listed = listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap());
    assert_eq!(listed.collect::<Vec<_>>(), ["fast", "home:box:qwen2.5-Q4_0", "qwen2.5-Q4_0"]);
}

#[test]
fn whoever_asks_while_providers_come_or_come_back_is_to_try_again_and_later_told_that_there_are_none() {
    let mut rig = gateway("balanced");
    let told = |rig: &mut Rig, model: &str| {
        let mut body = question(json!({}));
        body["model"] = json!(model);
        let user = rig.ask(&body);
        let (status, error) = error(rig, user);
        let retry = rig.wires[&user].head.as_ref().unwrap().header("retry-after").is_some();
        (status, error["code"].as_str().unwrap().to_string(), retry)
    };
    let (gone, later) = ((404, "model_not_found".into(), false), (503, "no_provider".into(), true));
    rig.pass(HEARD_WITHIN);
    assert_eq!(told(&mut rig, "qwen"), later, "a gateway that knows of nobody has not heard of all");
    let mut rig = gateway("balanced");
    let mut peer = seller(&mut rig, PEER, "home", 1);
    assert_eq!(told(&mut rig, "llama"), later, "nor has one that has only just heard of somebody");
    rig.pass(HEARD_WITHIN);
    assert_eq!(told(&mut rig, "llama"), gone);
    // Its Portman starts again: it serves something else meanwhile.
    let other = offer(&rig, "home:box:phi");
    peer.announce(&mut rig, vec![seal(PEER, other)]);
    assert_eq!(told(&mut rig, "qwen"), later);
    assert_eq!(told(&mut rig, "home:box:qwen"), later);
    assert_eq!(told(&mut rig, "llama"), gone, "what was never there is not awaited");
    rig.pass(Span(BYGONE_FOR.0 - 1));
    assert_eq!(told(&mut rig, "qwen"), later);
    rig.pass(Span(1));
    assert_eq!(told(&mut rig, "qwen"), gone);
}

fn get(rig: &mut Rig, path: &str) -> Value {
    let stream = rig.request(Surface::Public, RequestHead::new("GET", path));
    rig.finish(stream);
    serde_json::from_str(&rig.text(stream)).unwrap()
}

#[test]
fn without_fallbacks_one_provider_is_named_and_its_refusal_is_the_end() {
    let mut rig = gateway("cheapest");
    let mut cheap = seller(&mut rig, PEER, "cheap", 1);
    let dear = seller(&mut rig, OTHER, "dear", 2);
    let user = rig.ask(&question(json!({ "allow_fallbacks": false })));
    let job = cheap.job(&mut rig);
    assert_eq!(job.auth().attempts.len(), 1);
    job.refuse(&mut rig, &mut cheap, Refusal { code: RefusalCode::Busy, message: "full".into() });
    assert_eq!(rig.status(user), Some(429));
    assert!(dear.jobs(&mut rig).is_empty());
}

#[test]
fn a_provider_that_fails_again_and_again_is_left_alone_also_where_nobody_else_is_there() {
    let mut rig = gateway("balanced");
    let mut only = Peer::serving(&mut rig, PEER, SLUG);
    let fail = |rig: &mut Rig, only: &mut Peer| {
        rig.ask(&prompt(true));
        let job = only.job(rig);
        job.refuse(rig, only, Refusal { code: RefusalCode::RuntimeFailed, message: "it smokes".into() });
    };
    (0..BREAKER_FAILURES).for_each(|_| fail(&mut rig, &mut only));
    let user = rig.ask(&prompt(true));
    assert_eq!(rig.status(user), Some(503));
    assert!(only.jobs(&mut rig).is_empty());
    // One tries it after a while, and nobody beside it.
    rig.pass(BREAKER_FIRST);
    let tries = rig.ask(&prompt(true));
    let beside = rig.ask(&prompt(true));
    assert_eq!((rig.status(tries), rig.status(beside)), (None, Some(503)));
    let mut job = only.job(&mut rig);
    serve(&mut rig, &mut job);
    assert_eq!(asked(&mut rig, &mut [&mut only], &prompt(true)), Some(0), "it serves again");
}

#[test]
fn who_has_not_begun_long_after_its_usual_time_is_given_up_for_the_next() {
    let mut rig = gateway("cheapest");
    let mut cheap = seller(&mut rig, PEER, "cheap", 1);
    let dear = seller(&mut rig, OTHER, "dear", 2);
    (0..PROBATION)
        .for_each(|_| assert!(asked(&mut rig, &mut [&mut cheap], &question(json!(null))).is_some()));
    rig.ask(&question(json!(null)));
    rig.pass(Span(PATIENCE_LEAST.0 - 1));
    assert!(dear.jobs(&mut rig).is_empty());
    rig.pass(Span(1));
    assert_eq!(dear.jobs(&mut rig).len(), 1);
}

#[test]
fn newcomers_however_many_get_few_requests_while_somebody_has_proved_itself() {
    let mut rig = gateway("balanced");
    let mut known = seller(&mut rig, PEER, "known", 2);
    (0..WARM_UP).for_each(|_| assert!(asked(&mut rig, &mut [&mut known], &question(json!(null))).is_some()));
    // They cost half, and nobody knows them.
    let mut strangers: Vec<Peer> =
        (100..120).map(|number| seller(&mut rig, number, &format!("new{number}"), 1)).collect();
    let mut others = 0;
    for _ in 0..300 {
        rig.ask(&question(json!(null)));
        for stranger in &mut strangers {
            for job in stranger.jobs(&mut rig) {
                others += 1;
                job.refuse(&mut rig, stranger, Refusal { code: RefusalCode::Busy, message: "later".into() });
            }
        }
        known.jobs(&mut rig).iter_mut().for_each(|job| serve(&mut rig, job));
    }
    // One in ten.
    assert!((10..=60).contains(&others), "{others} of 300");
}

#[test]
fn who_gave_only_answers_of_one_token_is_not_taken_to_be_the_quickest() {
    let mut rig = gateway("balanced");
    let mut cheap = seller(&mut rig, PEER, "cheap", 1);
    let mut dear = seller(&mut rig, OTHER, "dear", 2);
    let answered = |rig: &mut Rig, tenant: &str, tokens: u32| {
        rig.ask(&question(json!({ "only": [tenant] })));
        let mut job = if tenant == "cheap" { cheap.job(rig) } else { dear.job(rig) };
        job.text(rig, counts(10, 1), "an");
        if tokens > 1 {
            rig.pass(Span::from_secs(2));
            job.text(rig, counts(10, tokens), " answer");
        }
        let frame = job.end_frame(job.statement(counts(10, tokens), End::Complete), None);
        rig.deliver(job.stream, &frame);
    };
    for _ in 0..WARM_UP {
        answered(&mut rig, "cheap", 2);
        answered(&mut rig, "dear", 1);
    }
    for number in 0..20 {
        let peers = &mut [&mut cheap, &mut dear];
        assert_eq!(asked(&mut rig, peers, &question(json!({}))), Some(0), "request {number}");
    }
}

#[test]
fn a_conversation_stays_with_its_provider_as_long_as_load_allows() {
    let mut rig = gateway("balanced");
    let mut peers: Vec<Peer> = [PEER, OTHER, STRANGER]
        .into_iter()
        .map(|number| seller(&mut rig, number, &format!("t{number}"), 1))
        .collect();
    let turn = |first: usize, turns: usize| {
        let mut messages = vec![json!({ "role": "user", "content": format!("question {first}") })];
        for _ in 0..turns {
            messages.push(json!({ "role": "assistant", "content": "so it is" }));
            messages.push(json!({ "role": "user", "content": "and then?" }));
        }
        json!({ "model": "qwen", "stream": true, "max_tokens": 9, "messages": messages })
    };
    let mut homes = Vec::new();
    for first in 0..12 {
        let mut peers: Vec<&mut Peer> = peers.iter_mut().collect();
        // All have proved themselves after a few, and then nothing moves a conversation.
        let at: Vec<_> =
            (0..4).map(|turns| asked(&mut rig, &mut peers, &turn(first, turns)).unwrap()).collect();
        if first >= 6 {
            assert!(at.iter().all(|one| *one == at[0]), "conversation {first}: {at:?}");
            homes.push(at[0]);
        }
    }
    homes.sort_unstable();
    homes.dedup();
    assert!(homes.len() > 1, "not all at one");
}

#[test]
fn where_a_request_went_and_why_can_be_explained() {
    let mut rig = gateway("cheapest");
    let mut cheap = seller(&mut rig, PEER, "cheap", 1);
    let dear = seller(&mut rig, OTHER, "dear", 2);
    let user = rig.ask(&question(json!({ "ignore": ["nobody"] })));
    let job = cheap.job(&mut rig);
    job.refuse(&mut rig, &mut cheap, Refusal { code: RefusalCode::Busy, message: "full".into() });
    let mut job = dear.job(&mut rig);
    serve(&mut rig, &mut job);
    let head = rig.wires[&user].head.clone().unwrap();
    let said = |name: &str| head.header(name).unwrap_or_default().to_string();
    assert_eq!((said("x-labman-attempts"), said("x-labman-policy")), ("2".into(), "cheapest".into()));
    assert!(said("x-labman-price").ends_with(" XTS"), "{}", said("x-labman-price"));
    let told = rig.admin(&format!("/explain?request={}", said("x-request-id")));
    let attempts = told["attempts"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap());
    assert_eq!(attempts.collect::<Vec<_>>(), ["asked", "busy", "asked", "first chunk", "served"]);
    assert_eq!(told["considered"][0]["slug"], "cheap:box:qwen");
    assert_eq!((&told["eligible"], &told["considered"][0]["because"]), (&json!(2), &json!("the best")));
    // One that nobody could serve, too.
    let user = rig.ask(&question(json!({ "only": ["nobody"] })));
    let id = rig.wires[&user].head.clone().unwrap().header("x-request-id").unwrap().to_string();
    let told = rig.admin(&format!("/explain?request={id}"));
    assert_eq!((&told["removed"][0]["count"], &told["eligible"]), (&json!(2), &json!(0)));
    assert_eq!(rig.admin("/explain?request=req_00")["error"]["code"], "not_found");
}

#[test]
fn a_slot_is_reserved_from_the_choice_on_and_free_again_when_the_fep_has_not_answered() {
    let mut rig = gateway("balanced");
    let mut dear = seller(&mut rig, PEER, "dear", 3);
    let mut cheap = seller(&mut rig, OTHER, "cheap", 1);
    let peers = &mut [&mut dear, &mut cheap];
    rig.fep.silent = vec!["/v1/authorize", "/v1/usage"];
    let waiting: Vec<StreamId> = (0..64).map(|_| rig.ask(&question(json!({})))).collect();
    rig.fep.silent = Vec::new();
    assert_eq!(asked(&mut rig, peers, &question(json!({}))), Some(0), "the cheaper one's slots are promised");
    // Who promises nothing that the FEP has agreed to keeps nobody from being asked at all.
    let only = json!({ "only": ["cheap"] });
    assert_eq!(asked(&mut rig, peers, &question(only)), Some(1));
    rig.pass(Span::from_secs(5));
    assert!(waiting.iter().all(|user| rig.status(*user) == Some(503)), "the FEP did not answer");
    assert_eq!(asked(&mut rig, peers, &question(json!({}))), Some(1));
}

#[test]
fn a_gateway_adds_its_own_jobs_to_those_that_a_provider_calls_others() {
    let mut rig = gateway("cheapest");
    let mut dear = seller(&mut rig, PEER, "dear", 3);
    let mut cheap = seller(&mut rig, OTHER, "cheap", 1);
    for _ in 0..2 {
        rig.ask(&question(json!({})));
    }
    let running = cheap.jobs(&mut rig);
    assert_eq!(running.len(), 2);
    let mut asked =
        |rig: &mut Rig, cheap: &mut Peer| asked(rig, &mut [&mut dear, cheap], &question(json!({})));
    // It has heard of one of ours, and of 62 of others: of 64 slots none is free.
    says_of(&mut rig, &mut cheap, "cheap:box:qwen", (63, 1));
    assert_eq!(asked(&mut rig, &mut cheap), Some(0));
    says_of(&mut rig, &mut cheap, "cheap:box:qwen", (63, 2));
    assert_eq!(asked(&mut rig, &mut cheap), Some(1));
}

#[test]
fn gateways_take_turns_at_a_provider_that_has_no_more_slots_free_than_gateways_that_use_it() {
    let mut rig = gateway("balanced");
    let mut dear = seller(&mut rig, PEER, "dear", 3);
    let gateways = vec![node(NODE), node(STRANGER)];
    let mut cheap = seller_among(&mut rig, OTHER, "cheap", 1, gateways);
    let mut turns = |rig: &mut Rig, cheap: &mut Peer| {
        let turns = (0..40).filter(|_| {
            rig.pass(TURN);
            asked(rig, &mut [&mut dear, cheap], &question(json!({}))) == Some(1)
        });
        turns.count()
    };
    says(&mut rig, &mut cheap, "cheap:box:qwen", 61);
    assert_eq!(turns(&mut rig, &mut cheap), 40, "each of them may have one");
    // It says so once: nothing changes.
    says(&mut rig, &mut cheap, "cheap:box:qwen", 62);
    let ours = turns(&mut rig, &mut cheap);
    assert!((10..=30).contains(&ours), "{ours} of 40 turns");
}

#[test]
fn of_hundreds_of_gateways_that_a_provider_names_eight_have_turns() {
    let mut rig = gateway("balanced");
    let mut dear = seller(&mut rig, PEER, "dear", 3);
    let mut cheap = seller_among(&mut rig, OTHER, "cheap", 1, (30..230).map(node).collect());
    says(&mut rig, &mut cheap, "cheap:box:qwen", 1);
    for _ in 0..20 {
        rig.pass(TURN);
        assert_eq!(asked(&mut rig, &mut [&mut dear, &mut cheap], &question(json!({}))), Some(1));
    }
}

#[test]
fn a_gateway_that_is_alone_at_a_provider_waits_for_no_turn_a_while_after_the_others_left() {
    let mut rig = gateway("balanced");
    let mut dear = seller(&mut rig, PEER, "dear", 3);
    let mut cheap = seller_among(&mut rig, OTHER, "cheap", 1, vec![node(NODE), node(STRANGER)]);
    for _ in 0..63 {
        rig.ask(&question(json!({})));
    }
    let running = cheap.jobs(&mut rig);
    assert_eq!(running.len(), 63);
    let mut is_ours = |rig: &mut Rig, cheap: &mut Peer, jobs: (u32, u32)| {
        says_of(rig, cheap, "cheap:box:qwen", jobs);
        asked(rig, &mut [&mut dear, cheap], &question(json!({}))) == Some(1)
    };
    // Another's job has just ended, and another may be on its way.
    let just_left = (0..10).filter(|_| {
        rig.pass(Span::from_millis(4_500));
        says_of(&mut rig, &mut cheap, "cheap:box:qwen", (64, 63));
        is_ours(&mut rig, &mut cheap, (63, 63))
    });
    let ours = just_left.count();
    assert!((2..=8).contains(&ours), "{ours} of 10");
    rig.pass(CONTESTED_FOR);
    assert!(is_ours(&mut rig, &mut cheap, (63, 63)));
    rig.pass(Span::from_millis(4_500));
    assert!(is_ours(&mut rig, &mut cheap, (63, 63)));
}

#[test]
fn a_conversation_that_begins_waits_for_its_turn_as_any_other() {
    let mut rig = gateway("balanced");
    let mut ours = seller_among(&mut rig, PEER, "ours", 1, vec![node(NODE)]);
    let mut anothers = seller_among(&mut rig, OTHER, "anothers", 1, vec![node(STRANGER)]);
    for number in 0..20 {
        says(&mut rig, &mut ours, "ours:box:qwen", 63);
        says(&mut rig, &mut anothers, "anothers:box:qwen", 63);
        // Half of them would be at home at either.
        let first = json!({ "role": "user", "content": format!("question {number}") });
        let body = json!({ "model": "qwen", "stream": true, "max_tokens": 9, "messages": [first] });
        let at = asked(&mut rig, &mut [&mut ours, &mut anothers], &body);
        assert_eq!(at, Some(0), "conversation {number}");
    }
}
