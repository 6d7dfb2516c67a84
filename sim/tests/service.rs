//! How long a runtime takes, as users see it.

use labman_sim::report::JobOutcome;
use labman_sim::{run, scenario};

/// Jobs of one user for one provider, one after the other, where the way there and back always takes the same.
fn served(portman: &str, jobs: usize, stream: bool) -> Vec<JobOutcome> {
    let job = |number| {
        format!(
            "[[job]]\nname = \"j{number}\"\nuser = \"ada\"\nmodel = \"m\"\nprompt = \"one two\"\nmax_tokens = 3\nstream = {stream}\n"
        )
    };
    let text = format!(
        r#"name = "service"
duration = "1h"
scheme = "tag"
one_by_one = true
[latency]
mesh = {{ constant = "1ms" }}
http = {{ constant = "1ms" }}
local = {{ constant = "1us" }}
disk = {{ constant = "100us" }}
[fep]
name = "portal"
[[gateway]]
name = "gateway"
[[provider]]
name = "harbour"
tenant = "harbour"
[[provider.portman]]
ep = "box"
model = "m"
price = {{ per_request = "0.01" }}
token_every = "20ms"
{portman}
[[user]]
name = "ada"
deposit = "100"
{}"#,
        (0..jobs).map(job).collect::<String>()
    );
    let report = run(&scenario::parse("service.toml", &text).expect("a scenario"), 1);
    assert!(report.passed() && report.settled, "{report}");
    report.outcomes
}

fn ttft_us(outcome: &JobOutcome) -> u64 {
    outcome.ttft_us.expect("it was served")
}

#[test]
fn a_slow_start_is_seen_by_whoever_waits_for_the_first_token() {
    let slow = "prompt_token_every = \"10ms\"\nthinks = { constant = \"300ms\" }";
    // Two words of prompt, and three for the message.
    let later_us = 5 * 10_000 + 300_000;
    for stream in [true, false] {
        let (plain, slow) = (&served("", 1, stream)[0], &served(slow, 1, stream)[0]);
        assert_eq!(ttft_us(slow), ttft_us(plain) + later_us, "stream: {stream}");
        assert_eq!(slow.took_us, plain.took_us + later_us, "stream: {stream}");
    }
}

#[test]
fn thoughts_of_a_mean_come_out_as_that_mean_and_as_the_seed_says() {
    let jobs = 150;
    let first_us = ttft_us(&served("", 1, true)[0]);
    let thinking = || served("thinks = { exponential = \"200ms\" }", jobs, true);
    let times: Vec<u64> = thinking().iter().map(ttft_us).collect();
    let thought_us = times.iter().sum::<u64>() / jobs as u64 - first_us;
    assert!(thought_us.abs_diff(200_000) < 40_000, "{thought_us}");
    assert_eq!(thinking().iter().map(ttft_us).collect::<Vec<_>>(), times);
}
