//! What each figure is, in words: the one place, for `labman-sim explain` and for reports.

/// A figure's meaning.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    pub name: &'static str,
    pub unit: &'static str,
    pub what: &'static str,
    /// Where the number is taken.
    pub measured: &'static str,
    /// What to mind as one reads it; may be empty.
    pub caveats: &'static str,
}

/// A place where numbers are taken.
const USER: &str = "at the users, by what their HTTP clients saw";
const TIMES: &str = "at the users, of jobs that were completed and asked for at or after measure_from";
const FEP: &str = "in the FEP's books, read over its admin surface once the run is over";
const PROVIDERS: &str = "in the providers' books, read over their admin surfaces once the run is over";
const RUN: &str = "by the simulator";
const STORES: &str = "in the providers' stores, at each check_every from measure_from on";
const WATCHED: &str =
    "by looking into the machines of the providers that [mesh] watches, as often as it says";
const WIRES: &str = "on the mesh's wires, by the headers of frames, from [mesh] from on";
const SHELVES: &str = "by looking at each provider that decides what it hosts, once an epoch";

const AUDITS: &str = "at the users, by what the model would have said, from measure_from on";
const EXPLAINED: &str =
    "at the gateways, by how they explain each request that was asked for at or after measure_from";

const OFFERS: &str = "by looking at what each provider offers, once an epoch from measure_from on";

const OWN_PRICE: &str = "of several offers of a provider their mean counts";
const RUNTIMES: &str = "at the runtimes, from measure_from until the last job was asked for";
const NONE: &str = "";
const OWN: &str = "in the FEP's currency; what is paid in others is left out";
const DOWN: &str = "rounded down; 0 where nothing was measured";
const RANK: &str = "by nearest rank, not interpolated; rounded down; 0 where nothing was measured";
const WORST: &str = "the worst of the run, so longer runs have higher ones; 0 where it never happened";

const fn figure(
    name: &'static str,
    unit: &'static str,
    what: &'static str,
    measured: &'static str,
    caveats: &'static str,
) -> Definition {
    Definition { name, unit, what, measured, caveats }
}

/// One for each of [`super::figures`], in that order, then those that only a sweep's table has.
pub const DEFINITIONS: &[Definition] = &[
    figure(
        "jobs.total",
        "jobs",
        "jobs that the scenario has, listed and drawn",
        RUN,
        "with those that nobody asked for before the run was over",
    ),
    figure("jobs.completed", "jobs", "jobs served to their natural end", USER, NONE),
    figure("jobs.refused", "jobs", "jobs answered with an error before any text", USER, NONE),
    figure(
        "jobs.failed",
        "jobs",
        "jobs without an answer, or with one that broke off",
        USER,
        "a user who goes away breaks off, too",
    ),
    figure(
        "jobs.goodput_permille",
        "per mille",
        "jobs completed, of those between honest parties only",
        USER,
        "0 where there are none",
    ),
    figure(
        "jobs.beside_cheats_permille",
        "per mille",
        "jobs completed, of those for what dishonest providers serve, too",
        USER,
        "0 where there are none",
    ),
    figure(
        "jobs.fairness_ppm",
        "millionths",
        "Jain's index of jobs by honest provider: the lowest among those whose Portmans are alike",
        TIMES,
        "a million where nothing was measured, and 1/n of it where one of n did all",
    ),
    figure(
        "jobs.served_ppm",
        "millionths",
        "measured requests that were served to their natural end",
        USER,
        "of those asked for at or after measure_from; 0 where there are none",
    ),
    figure(
        "jobs.little_ppm",
        "millionths",
        "Little's law: jobs under way in the mean, in parts of how many came a second times how long they took",
        TIMES,
        "a million, but for jobs under way at the beginning and at the end of what is measured",
    ),
    figure(
        "jobs.waiting_most",
        "jobs",
        "the most jobs that were under way beyond the slots of all providers: who waits when a crowd comes",
        USER,
        "of all jobs, measure_from or not",
    ),
    figure(
        "jobs.cleared_ms",
        "milliseconds",
        "from when most waited until nobody did",
        USER,
        "of all jobs, measure_from or not",
    ),
    figure("jobs.status_400", "jobs", "jobs answered with HTTP 400, a bad request", USER, NONE),
    figure("jobs.status_401", "jobs", "jobs answered with HTTP 401, a bad key", USER, NONE),
    figure(
        "jobs.status_404",
        "jobs",
        "jobs answered with HTTP 404: no such model, or nobody who serves it for what the request would pay",
        USER,
        NONE,
    ),
    figure(
        "jobs.status_429",
        "jobs",
        "jobs answered with HTTP 429: no slot was free, or a key's limit was reached",
        USER,
        NONE,
    ),
    figure("jobs.status_503", "jobs", "jobs answered with HTTP 503, nobody can serve it", USER, NONE),
    figure(
        "tokens.input",
        "tokens",
        "prompts' tokens that receipts settle",
        FEP,
        "jobs without a receipt have none",
    ),
    figure(
        "tokens.output",
        "tokens",
        "answers' tokens that receipts settle",
        FEP,
        "jobs without a receipt have none",
    ),
    figure("receipts.total", "receipts", "receipts that the FEP issued", FEP, NONE),
    figure(
        "receipts.paid",
        "receipts",
        "receipts that are paid at their provider",
        PROVIDERS,
        "a run that ends before the next claim leaves the last unpaid",
    ),
    figure(
        "claims.total",
        "claims",
        "claims that providers made",
        PROVIDERS,
        "of each provider its last thousand",
    ),
    figure("claims.paid", "claims", "claims that were paid", PROVIDERS, "of each provider its last thousand"),
    figure(
        "money.charged",
        "micro-units",
        "what users paid, fees included",
        FEP,
        "of the whole run, measure_from or not",
    ),
    figure(
        "money.charged_per_mtok",
        "micro-units",
        "what users paid for a million tokens, those of prompts and answers together, fees included",
        FEP,
        "of the whole run, measure_from or not; tokens as they were asked for, so with tokens_by the price of a real token, too",
    ),
    figure(
        "money.earned",
        "micro-units",
        "what receipts pay providers, in the FEP's currency",
        FEP,
        "what is paid in another currency is left out; of the whole run",
    ),
    figure(
        "money.fees_ppm",
        "millionths",
        "what users paid beyond what providers got, of what these got",
        FEP,
        "in the FEP's currency; what is paid in others is left out; 0 where nothing was earned; each job's amounts are whole \
         micro-units, so that rounding shows where fees are a few of them",
    ),
    figure(
        "money.claimed",
        "micro-units",
        "what paid claims came to, in the FEP's currency",
        PROVIDERS,
        "of each provider its last thousand claims",
    ),
    figure(
        "money.owed",
        "micro-units",
        "what providers have earned and not been paid as the workload ends",
        STORES,
        OWN,
    ),
    figure(
        "money.owed_mean",
        "micro-units",
        "what providers have earned and not been paid, in the mean over all looks: what would be lost if the FEP failed at a moment drawn by chance",
        STORES,
        OWN,
    ),
    figure("money.owed_most", "micro-units", "the most that one provider was owed at any look", STORES, OWN),
    figure(
        "slots.busy_ppm",
        "millionths",
        "of the time of all slots, what runtimes worked on answers: read, thought and spoke",
        RUNTIMES,
        "a runtime that dies forgets what it had done; one that waits for its reader works; rounded down",
    ),
    figure(
        "income.gini_ppm",
        "millionths",
        "Gini's coefficient of what honest providers earned: 0 where all earned the same, near a million where one earned all",
        FEP,
        "over all honest providers, those without work among them, so at most 1 - 1/n; no correction for few; of the whole run",
    ),
    figure("ttft.p50_ms", "ms", "median time from asking to the first text", TIMES, RANK),
    figure("ttft.p95_ms", "ms", "95th percentile of the time from asking to the first text", TIMES, RANK),
    figure("ttft.p99_us", "us", "99th percentile of the time from asking to the first text", TIMES, RANK),
    figure("ttft.mean_us", "us", "mean time from asking to the first text", TIMES, DOWN),
    figure("ttft.count", "jobs", "jobs that the times to the first text are of", TIMES, NONE),
    figure("sojourn.p99_us", "us", "99th percentile of the time from asking to the last byte", TIMES, RANK),
    figure("sojourn.mean_us", "us", "mean time from asking to the last byte", TIMES, DOWN),
    figure("sojourn.count", "jobs", "jobs that the times to the last byte are of", TIMES, NONE),
    figure(
        "settled",
        "1 or 0",
        "whether all jobs had ended and all money had come to rest before the duration was over",
        RUN,
        "looked at every check_every",
    ),
    figure(
        "events",
        "events",
        "things that happened in virtual time",
        RUN,
        "another build may need more for the same",
    ),
    figure(
        "virtual_seconds",
        "s",
        "virtual time that the run lasted",
        RUN,
        "with setting up and the last look, and not the time that it took to run",
    ),
    figure(
        "money.surplus",
        "micro-units",
        "what users would have paid for their answers beyond what they were charged, fees included",
        "by what each job's values say of a million tokens of output, and receipts",
        "none where any job is asked for at any price; of the whole run, measure_from or not",
    ),
    figure(
        "mesh.spread",
        "records",
        "records of the watched that came to all who hear of them",
        WATCHED,
        NONE,
    ),
    figure(
        "mesh.reached_999_ms",
        "ms",
        "the longest until 99.9 % of them held such a record",
        WATCHED,
        WORST,
    ),
    figure("mesh.reached_all_ms", "ms", "the longest until all of them did", WATCHED, WORST),
    figure(
        "mesh.last_hop",
        "links",
        "over how many links a record came to whom it came over most",
        WATCHED,
        WORST,
    ),
    figure(
        "mesh.redundancy_permille",
        "per mille",
        "copies of a record beyond the first to each, of those who got one",
        WATCHED,
        DOWN,
    ),
    figure("mesh.gone", "providers", "watched providers that died and were forgotten", WATCHED, NONE),
    figure("mesh.gone_ms", "ms", "the longest until one was", WATCHED, WORST),
    figure(
        "mesh.late",
        "providers",
        "watched providers that died and were not forgotten in 30 s",
        WATCHED,
        NONE,
    ),
    figure(
        "mesh.healed",
        "partitions",
        "partitions that ended and after which all views agreed",
        WATCHED,
        NONE,
    ),
    figure(
        "mesh.healed_ms",
        "ms",
        "the longest from a partition's end until all views agreed",
        WATCHED,
        WORST,
    ),
    figure("mesh.lost", "times", "how often one that lives was lost where it had been known", WATCHED, NONE),
    figure("mesh.lost_ms", "ms", "for how long at most one that lives was lost", WATCHED, WORST),
    figure(
        "mesh.absent_ppm",
        "millionths",
        "looks for one that lives, where it should be known, that did not find it",
        WATCHED,
        DOWN,
    ),
    figure(
        "mesh.alone_ms",
        "ms",
        "the longest that a gateway under attack had no link to an honest one",
        WATCHED,
        WORST,
    ),
    figure(
        "mesh.swarm_permille",
        "per mille",
        "of the peers that a gateway under attack may call, those that are the attacker's, at the most",
        WATCHED,
        WORST,
    ),
    figure("mesh.record_bytes", "bytes per node and second", "what capability records cost", WIRES, DOWN),
    figure("mesh.other_bytes", "bytes per node and second", "what all else costs but jobs", WIRES, DOWN),
    figure(
        "market.hit_ppm",
        "millionths",
        "requests asked for at or after measure_from that were served",
        USER,
        "one that was refused for another reason than a model that is not in memory counts as a miss",
    ),
    figure(
        "market.of_optimum_ppm",
        "millionths",
        "hits, of what they would be with the most wanted models in memory all the time",
        USER,
        "the best is of the last [[arrivals]] with a Zipf law, worked out and not run",
    ),
    figure("market.loads", "models", "models loaded, by all providers", SHELVES, "of the whole run"),
    figure(
        "market.loads_per_hour_milli",
        "thousandths",
        "models loaded, by a provider and virtual hour",
        SHELVES,
        DOWN,
    ),
    figure(
        "market.together_permille",
        "per mille",
        "providers that loaded something in one epoch, at the most",
        SHELVES,
        WORST,
    ),
    figure(
        "market.measured_together_permille",
        "per mille",
        "providers that loaded something in one epoch that began at or after measure_from, at the most",
        SHELVES,
        WORST,
    ),
    figure(
        "market.search_ppm",
        "millionths",
        "what a search from provider to provider would cost, in parts of that where all models are hosted as often",
        SHELVES,
        "by what was hosted at each look, in the mean over those of measured epochs",
    ),
    figure(
        "market.price_micro",
        "micro-units",
        "the price of a million tokens of output, in the mean over providers and looks",
        OFFERS,
        OWN_PRICE,
    ),
    figure(
        "market.price_cheapest_micro",
        "micro-units",
        "the mean over looks of the lowest of these prices",
        OFFERS,
        OWN_PRICE,
    ),
    figure(
        "market.price_low_micro",
        "micro-units",
        "the lowest that the providers' mean price was at any look",
        OFFERS,
        OWN_PRICE,
    ),
    figure(
        "market.price_high_micro",
        "micro-units",
        "the highest that the providers' mean price was at any look",
        OFFERS,
        OWN_PRICE,
    ),
    figure(
        "market.price_swing_micro",
        "micro-units",
        "what is between the highest and the lowest of these means",
        OFFERS,
        OWN_PRICE,
    ),
    figure(
        "market.price_first_micro",
        "micro-units",
        "the mean price of the first provider and those who offer the same",
        OFFERS,
        OWN_PRICE,
    ),
    figure(
        "market.profit_micro",
        "micro-units",
        "what a provider earned in the mean beyond what the work cost it",
        PROVIDERS,
        "costs are the floor of its pricing, and none where it has no pricing; of the whole run, measure_from or not",
    ),
    figure(
        "market.profit_first_micro",
        "micro-units",
        "what the first provider, and those who offer the same, earned in the mean beyond what the work cost them",
        PROVIDERS,
        "costs are the floor of its pricing; of the whole run, measure_from or not",
    ),
    figure(
        "market.share_first_ppm",
        "millionths",
        "the part of the measured jobs that the first provider served, and those who offer the same",
        TIMES,
        "0 where nothing was measured",
    ),
    figure(
        "routing.first_asked_ppm",
        "millionths",
        "the part of the measured requests that gateways first asked the first provider for, and those who offer the same",
        EXPLAINED,
        "whoever served in the end; 0 where nobody was asked",
    ),
    figure(
        "routing.reliability_ppm",
        "millionths",
        "of how many attempts gateways thought that they would serve, in the mean over attempts",
        EXPLAINED,
        "of those that were asked, as they were asked; gateways count in thousandths",
    ),
    figure(
        "routing.reliability_variance_ppm",
        "millionths",
        "the variance of that, around the mean of each gateway and provider",
        EXPLAINED,
        "one that changes for good has more of it than one that stays as it is",
    ),
    figure(
        "audit.cheated",
        "answers",
        "answers that were not the model's, to users who check some of them",
        AUDITS,
        "from the first on after somebody was caught; 0 where no arrivals have an audit",
    ),
    figure("audit.caught", "times", "how often a user checked such an answer", AUDITS, NONE),
    figure(
        "audit.answers_per_catch_milli",
        "thousandths",
        "such answers for each time that somebody was caught",
        AUDITS,
        "those of whom was not caught before the end are counted, too; 0 where nobody was",
    ),
    figure(
        "audit.caught_within_ppm",
        "millionths",
        "how often a cheat was caught within as many answers to one user as its audit counts",
        AUDITS,
        "of those who were caught or gave as many; 0 where there are none",
    ),
    figure(
        "ledger_balanced",
        "1 or 0",
        "whether the FEP's ledger adds up to nothing, account by account",
        FEP,
        "empty where the run did not get so far",
    ),
    figure(
        "balance.",
        "micro-units",
        "what an account of the FEP's ledger holds in the end, such as balance.fep:fees; 0 of one that the run did not use",
        FEP,
        "an account in another currency has its name before it",
    ),
];

/// Of a figure, or of an account's balance.
#[must_use]
pub fn of(name: &str) -> Option<&'static Definition> {
    let is = |one: &&Definition| one.name == name || (one.name.ends_with('.') && name.starts_with(one.name));
    DEFINITIONS.iter().find(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures;

    #[test]
    fn every_figure_has_one_definition_and_no_definition_is_of_nothing() {
        let defined: Vec<&str> = DEFINITIONS.iter().map(|one| one.name).collect();
        let wanted: Vec<&str> = figures().chain(["ledger_balanced", "balance."]).collect();
        assert_eq!(defined, wanted);
        assert!(DEFINITIONS.iter().all(|one| ![one.unit, one.what, one.measured].contains(&"")));
    }

    #[test]
    fn an_account_s_balance_is_explained_by_any_account_s() {
        assert_eq!(of("balance.fep:fees").map(|one| one.unit), Some("micro-units"));
        assert!(of("balance").is_none() && of("jobs").is_none());
    }
}
