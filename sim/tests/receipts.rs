//! More receipts at a provider than one listing shows.

use labman_sim::{Report, run, scenario};

const MANY: usize = 1_005;

/// Many jobs of one token, and all their receipts at one provider.
fn many(least_payout: &str) -> Report {
    let jobs = (0..MANY).map(|number| {
        let at = 10 * number;
        format!("[[job]]\nname = \"j{number}\"\nuser = \"ada\"\nmodel = \"m\"\nprompt = \"q\"\nmax_tokens = 1\nat = \"{at}ms\"\n")
    });
    let text = format!(
        r#"name = "many"
duration = "10m"
scheme = "tag"
healed_at = "0s"
[fep]
name = "portal"
[[gateway]]
name = "gateway"
[[provider]]
name = "harbour"
tenant = "harbour"
exposure = "1000"
[[provider.portman]]
ep = "box"
model = "m"
price = {{ per_request = "0.01" }}
token_every = "1ms"
slots = 64
least_payout = "{least_payout}"
[[user]]
name = "ada"
deposit = "100"
{}"#,
        jobs.collect::<String>()
    );
    let report = run(&scenario::parse("many.toml", &text).expect("a scenario"), 1);
    assert!(report.passed() && report.settled, "{report}");
    assert_eq!(report.figure("jobs.completed"), Some(MANY as i64));
    report
}

fn all_are(state: &str, report: &Report) {
    let others: Vec<_> = report.receipts.iter().filter(|receipt| receipt.state != state).collect();
    assert!(others.is_empty() && report.receipts.len() == MANY, "{others:?}");
}

#[test]
fn more_paid_receipts_than_a_listing_shows_are_all_seen() {
    all_are("paid", &many("0"));
}

#[test]
fn more_unclaimed_receipts_than_a_listing_shows_are_all_seen() {
    all_are("unclaimed", &many("1000"));
}
