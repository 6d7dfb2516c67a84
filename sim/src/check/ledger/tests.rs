//! Books that are right, and each way of cooking them.

use labman_proto_core::economics;
use labman_proto_core::identity::FepId;
use labman_proto_core::money::Currency;
use labman_proto_core::wire::ids::AuthId;
use labman_proto_core::wire::ids::{Hash, RequestId};
use labman_proto_core::wire::portal::PayoutTo;

use super::*;

const NODE: NodeId = NodeId([7; 32]);
const FEES: Fees = Fees { fep_bps: 100, gateway_bps: 400 };
const PRICE: Price = Price {
    input_per_mtok: Micros(1_000_000),
    cached_per_mtok: Micros(0),
    output_per_mtok: Micros(2_000_000),
    per_request: Micros(0),
};

type Cook = Box<dyn Fn(&mut Books)>;

fn xts() -> Currency {
    "XTS".parse().unwrap()
}

fn receipt(sequence: u64) -> Receipt {
    let settled = Counts { input: 100, cached: 0, output: 50 };
    let bill = economics::bill(&PRICE, &FEES, Rate::ONE, &settled).unwrap();
    Receipt {
        receipt_id: ReceiptId([sequence as u8; 16]),
        fep_id: FepId([1; 32]),
        provider_node_id: NODE,
        gateway_node_id: NodeId([2; 32]),
        auth_id: AuthId([sequence as u8; 16]),
        attempt: 0,
        offer_hash: Hash([0; 32]),
        settled,
        accepted: settled,
        stated: settled,
        billing_currency: xts(),
        charge: bill.charge,
        payout_to: PayoutTo { currency: xts(), address: "sim".into() },
        payout: bill.payout,
        rate: Rate::ONE,
        authorized_ms: 0,
        issued_ms: 0,
        key_id: Hash([0; 32]),
        sequence,
        request_id: RequestId([sequence as u8; 16]),
    }
}

fn held(receipt: &Receipt, state: &str) -> Held {
    Held {
        receipt_id: receipt.receipt_id,
        state: state.into(),
        slug: "acme:box:toy".into(),
        address: "sim".into(),
        counts: receipt.settled,
        charge: receipt.charge,
        payout: receipt.payout,
        currency: receipt.payout_to.currency.clone(),
        rate: receipt.rate,
        disputed_until_ms: None,
    }
}

fn asked(receipt: &Receipt) -> Asked {
    Asked {
        job: "job".into(),
        user: "u000001".into(),
        request_id: Some(Called::By(receipt.request_id)),
        completed: true,
        refused: false,
        failed_unseen: false,
        completion_tokens: Some(50),
        text: Some(Text { read: 50, to_its_end: true, produced: 50 }),
        gateway_forgot: false,
    }
}

fn line(account: &str, balance: i64) -> Line {
    Line { currency: xts(), account: account.into(), balance: Micros(balance) }
}

/// One user paid in 1,000 micro-units and was charged 210 twice: 200 each for the provider, who was paid once.
fn books() -> Books {
    let issued = vec![receipt(1), receipt(2)];
    let accounts = vec![
        line("user:u000001", 580),
        line("held:u000001", 0),
        line(&format!("provider:{NODE}"), 200),
        line("gateway:g", 16),
        line("fep:fees", 4),
        line("rail:deposits", -1_000),
        line("rail:payouts", 200),
    ];
    let provider = Provider {
        name: "provider".into(),
        node_id: NODE,
        held: vec![held(&issued[0], "paid"), held(&issued[1], "unclaimed")],
        states: States { unclaimed: 1, in_claim: 0, paid_since_start: 1 },
        owing: vec![Owing { total: Micros(100), limit: Micros(100) }],
        prices: BTreeMap::from([("acme:box:toy".into(), Prices::fixed(PRICE))]),
        forgot: false,
        asks: true,
        now_ms: Some(1_000_000),
    };
    Books {
        ledger: Ledger { balanced: true, currency: xts(), accounts },
        deposits: BTreeMap::from([("u000001".into(), Micros(1_000))]),
        bonds: Micros::ZERO,
        asked: vec![asked(&issued[0]), asked(&issued[1])],
        fees: FEES,
        quoted: BTreeMap::new(),
        issued: issued.into_iter().map(Issued::from).collect(),
        providers: vec![provider],
        at_rest: true,
        asked_for_by_ms: None,
        doubt: Doubt::default(),
    }
}

#[test]
fn honest_books_pass() {
    assert_eq!(check(&books()), Vec::<String>::new());
}

#[test]
fn every_way_of_cooking_the_books_is_found() {
    let account = |name: &'static str, change: i64| -> Cook {
        Box::new(move |books| {
            let line = books.ledger.accounts.iter_mut().find(|line| line.account.starts_with(name));
            line.unwrap().balance.0 += change;
        })
    };
    let all: [(&str, Cook); 21] = [
        ("not balanced", Box::new(|b| b.ledger.balanced = false)),
        ("I1", account("fep:fees", 1)),
        ("in EUR sum to 200", Box::new(|b| b.ledger.accounts[6].currency = "EUR".parse().unwrap())),
        ("which was never quoted", Box::new(|b| b.providers[0].held[0].rate = "0.92".parse().unwrap())),
        ("I7", account("user:", -600)),
        ("u000001 paid in 1000, has 581", account("user:", 1)),
        ("gateways paid in 1000", Box::new(|b| b.issued[0].charge.0 += 1)),
        ("for free", Box::new(|b| b.issued[0].request_id = RequestId([9; 16]))),
        ("refused and charged", Box::new(|b| (b.asked[0].completed, b.asked[0].refused) = (false, true))),
        ("its receipt says 50", Box::new(|b| b.asked[0].completion_tokens = Some(49))),
        ("has 2 receipts", Box::new(|b| b.issued[1].request_id = b.issued[0].request_id)),
        ("still held", account("held:", 5)),
        ("2 receipts, and 1 never came", Box::new(|b| drop(b.providers[0].held.pop()))),
        ("issued a receipt twice", Box::new(|b| b.issued[1].receipt_id = b.issued[0].receipt_id)),
        ("are numbered [1, 3]", Box::new(|b| b.issued[1].sequence = 3)),
        ("never issued", Box::new(|b| b.providers[0].held[0].receipt_id = ReceiptId([9; 16]))),
        ("differently", Box::new(|b| b.providers[0].held[1].payout.0 += 1)),
        ("I8", Box::new(|b| b.fees.gateway_bps = 0)),
        ("I4", Box::new(|b| b.providers[0].states.unclaimed = 0)),
        ("I5", Box::new(|b| b.providers[0].owing[0].total.0 += 1)),
        ("the FEP owes it 200", Box::new(|b| b.providers[0].held[1].state = "paid".into())),
    ];
    for (what, cook) in all {
        let mut books = books();
        cook(&mut books);
        let found = check(&books);
        assert!(found.iter().any(|line| line.contains(what)), "{what}: {found:?}");
    }
}

#[test]
fn a_request_is_called_by_its_id_as_that_is_written_or_otherwise() {
    let id = RequestId([0xab; 16]);
    assert_eq!(Called::from(id.to_string().as_str()), Called::By(id));
    for other in [id.to_string().to_uppercase().as_str(), "", "ab", "job"] {
        assert_eq!(Called::from(other), Called::Otherwise, "{other}");
    }
}

#[test]
fn what_is_under_way_is_no_finding() {
    let mut books = books();
    books.at_rest = false;
    books.providers[0].held.pop();
    books.providers[0].states.unclaimed = 0;
    assert_eq!(check(&books), Vec::<String>::new());
}

#[test]
fn an_answer_that_never_came_leaves_only_its_own_user_in_doubt() {
    let mut books = books();
    books.ledger.accounts.push(line("user:u000002", 99));
    books.ledger.accounts.push(line("fep:cash", -99));
    books.deposits.insert("u000002".into(), Micros(100));
    books.asked[0].request_id = None;
    let found = check(&books);
    assert!(found.iter().any(|line| line.starts_with("u000002 paid in 100, has 99")), "{found:?}");
    assert!(!found.iter().any(|line| line.starts_with("u000001")), "{found:?}");
}

#[test]
fn who_leaves_pays_for_what_was_delivered() {
    let paid_for = |text: Option<Text>| {
        let mut books = books();
        (books.asked[0].completed, books.asked[0].completion_tokens, books.asked[0].text) =
            (false, None, text);
        check(&books)
    };
    let text = |read, to_its_end, produced| Some(Text { read, to_its_end, produced });
    for right in [
        text(50, true, 50),
        text(50, true, 60),
        text(50 + 64, true, 200),
        text(0, false, 50),
        text(40, false, 90),
        None,
    ] {
        assert_eq!(paid_for(right), Vec::<String>::new(), "{right:?}");
    }
    for wrong in [text(51 + 64, true, 200), text(49, true, 60), text(0, true, 50), text(40, false, 49)] {
        assert!(paid_for(wrong)[0].contains("its receipt says 50"), "{wrong:?}");
    }
    let mut books = books();
    books.asked[0].completed = false;
    books.asked[0].text = text(50, false, 100_000);
    books.issued[0].settled.output = 51 + ON_THE_WAY as u32;
    assert!(check(&books).iter().any(|line| line.starts_with("job job got 50 tokens and no more than")));
}

#[test]
fn an_answer_whose_usage_never_came_is_worth_its_text() {
    let mut books = books();
    books.asked[0].completion_tokens = None;
    assert_eq!(check(&books), Vec::<String>::new());
    books.asked[0].text = Some(Text { read: 49, to_its_end: false, produced: 50 });
    assert!(check(&books)[0].contains("its receipt says 50"));
}

#[test]
fn only_what_went_through_a_forgetful_gateway_is_forgiven() {
    let mut books = books();
    books.providers[0].held.pop();
    books.providers[0].states.unclaimed = 0;
    let held = books.ledger.accounts.iter_mut().find(|line| line.account == "held:u000001");
    let held = held.unwrap();
    held.balance.0 += 5;
    books.ledger.accounts[0].balance.0 -= 5;
    let found = check(&books);
    assert!(found.iter().any(|line| line.contains("1 never came")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("I2: 5")), "{found:?}");
    books.doubt.gateways.insert(NodeId([2; 32]));
    books.doubt.holds.insert("u000001".into());
    assert_eq!(check(&books), Vec::<String>::new());
    books.doubt.gateways = BTreeSet::from([NodeId([3; 32])]);
    books.doubt.holds = BTreeSet::from(["u000002".into()]);
    assert_eq!(check(&books), found, "it was another's");
}

#[test]
fn what_never_came_has_been_asked_for_whoever_kept_it_back_and_whoever_lost_it() {
    let mut books = books();
    books.providers[0].held.pop();
    books.providers[0].states.unclaimed = 0;
    books.providers[0].forgot = true;
    books.doubt.gateways.insert(NodeId([2; 32]));
    assert_eq!(check(&books), Vec::<String>::new());
    books.asked_for_by_ms = Some(1);
    assert_eq!(check(&books), ["I6: provider has not asked for its receipts number [2], which never came"]);
    books.issued[1].issued_ms = 1;
    assert_eq!(check(&books), Vec::<String>::new(), "there was not the time yet");
    books.issued[1].issued_ms = 0;
    books.providers[0].asks = false;
    assert_eq!(check(&books), Vec::<String>::new());
}

#[test]
fn what_is_disputed_is_claimed_again_at_its_term() {
    let mut books = books();
    let held = &mut books.providers[0].held[1];
    held.state = "disputed".into();
    held.disputed_until_ms = Some(1_000_000 - 180_000);
    books.providers[0].states.unclaimed = 0;
    assert_eq!(check(&books), Vec::<String>::new());
    books.providers[0].now_ms = Some(1_000_001);
    let found = check(&books);
    assert!(found[0].ends_with("again at Some(820000), and did not"), "{found:?}");
    books.providers[0].now_ms = None;
    assert_eq!(check(&books), Vec::<String>::new(), "its clock was set");
}

#[test]
fn a_forgotten_job_s_receipt_has_one_of_its_provider_s_prices() {
    let mut books = books();
    books.providers[0].held[1].slug = FORGOTTEN.into();
    assert_eq!(check(&books), Vec::<String>::new());
    books.providers[0].prices.clear();
    assert!(check(&books).iter().any(|line| line.contains("none of its prices")));
}

#[test]
fn receipts_wait_only_below_the_least_payout() {
    let held = |address: &str, payout| Held {
        address: address.into(),
        payout: Micros(payout),
        ..held(&receipt(1), "unclaimed")
    };
    let least = BTreeMap::from([("a".to_owned(), Micros(10)), ("b".to_owned(), Micros::ZERO)]);
    assert!(!is_claim_due(&[held("a", 4), held("a", 5), held("b", 0)], &least));
    assert!(is_claim_due(&[held("a", 4), held("a", 6)], &least));
    assert!(is_claim_due(&[held("b", 1)], &least));
    assert!(!is_claim_due(&[Held { state: "paid".into(), ..held("b", 1) }], &least));
}
