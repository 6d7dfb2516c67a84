//! What a scenario can say and hardly means: it runs, and other things come of it than somebody thought.

use labman_proto_core::economics::Price;
use labman_proto_core::money::Micros;
use labman_proto_core::names::is_served_by;
use labman_proto_core::node::config::Strategy;

use super::{Arrivals, Portman, Provider, Scenario};
use crate::like::meant;

/// Prices move once an epoch: in fewer than so many nothing comes of it.
const EPOCHS: u64 = 3;

/// Of a scenario as it was read, each a sentence that begins with its place.
#[must_use]
pub fn doubts(scenario: &Scenario) -> Vec<String> {
    let late = scenario.arrivals.iter().filter_map(|arrivals| late(scenario, arrivals));
    unserved(scenario).chain(late).chain(penniless(scenario)).chain(still(scenario)).collect()
}

/// Nobody offers what somebody asks for.
fn unserved(scenario: &Scenario) -> impl Iterator<Item = String> {
    let arrivals = scenario.arrivals.iter().map(|one| ("arrivals", &one.name, asked(one)));
    let replays = scenario.replays.iter().map(|one| ("replay", &one.name, one.model.clone()));
    let offers = || scenario.providers.iter().flat_map(Provider::all_slugs);
    let served = move |model: &str| offers().any(|(slug, _)| is_served_by(model, &slug));
    arrivals.chain(replays).filter(move |(.., model)| !served(model)).map(|(table, name, model)| {
        let mut models: Vec<&str> = portmans(scenario).map(|(_, one)| one.model.as_str()).collect();
        models.sort_unstable();
        models.dedup();
        format!("{table} {name}: no provider offers {model:?}{}", meant(&model, models.into_iter(), ""))
    })
}

fn asked(arrivals: &Arrivals) -> String {
    match &arrivals.zipf {
        None => arrivals.model.clone(),
        // The rarest: where that is there, all are.
        Some(zipf) => format!("{}-{}", arrivals.model, zipf.count),
    }
}

fn portmans(scenario: &Scenario) -> impl Iterator<Item = (&Provider, &Portman)> {
    scenario.providers.iter().flat_map(|provider| provider.portmans.iter().map(move |one| (provider, one)))
}

fn late(scenario: &Scenario, Arrivals { name, until, .. }: &Arrivals) -> Option<String> {
    let told =
        || format!("arrivals {name}: until is later than duration: what would come then is never asked for");
    (*until > scenario.duration).then(told)
}

/// Who has nothing can ask for nothing that costs.
fn penniless(scenario: &Scenario) -> Option<String> {
    let free = portmans(scenario).any(|(_, one)| one.price == Price::default());
    let asks = !(scenario.arrivals.is_empty() && scenario.replays.is_empty());
    let penniless = scenario.users.iter().all(|user| user.deposit == Micros::ZERO);
    (asks && penniless && !free && !scenario.users.is_empty())
        .then(|| "user: nobody has a deposit, and nothing is free: every request will be refused".into())
}

/// Prices that are to move, and won't.
fn still(scenario: &Scenario) -> Option<String> {
    let moves = |(_, one): &(&Provider, &Portman)| one.pricing.strategy != Strategy::Fixed;
    let is_short = |(provider, _): &(&Provider, &Portman)| {
        scenario.duration.0 / provider.hosting.epoch.0.max(1) < EPOCHS
    };
    let (provider, portman) = portmans(scenario).filter(moves).find(is_short)?;
    Some(format!(
        "provider {}: pricing of {}: prices move once an epoch, and duration has fewer than {EPOCHS} of them: take a \
         shorter one, hosting = {{ epoch = \"5m\" }}, or a longer duration",
        provider.name, portman.ep
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::set::{Document, Set};

    fn told(sets: &[&str]) -> Vec<String> {
        let text = include_str!("../../../scenarios/first-light.toml");
        let more = "\n[[arrivals]]\nname = \"more\"\nuser = \"ada\"\nmodel = \"lantern\"\nprompt = \"Go on.\"\nevery = \"3s\"\nuntil = \"30s\"\n";
        let document = Document::new("x.toml".into(), format!("{text}{more}")).unwrap();
        let sets: Vec<Set> = sets.iter().map(|set| set.parse().unwrap()).collect();
        doubts(&document.with(&sets).unwrap().scenario)
    }

    #[test]
    fn what_is_meant_gives_no_doubt() {
        assert_eq!(told(&[]), Vec::<String>::new());
    }

    #[test]
    fn what_is_hardly_meant_is_told_with_its_place() {
        let undercuts =
            "provider.0.portman.0.pricing={ strategy = \"undercut\", floor = 500, ceiling = 2000 }";
        let cases: [(&[&str], &str); 4] = [
            (&["arrivals.2.model=lanten"], "arrivals more: no provider offers \"lanten\"; there is lantern"),
            (&["arrivals.2.until=9h"], "arrivals more: until is later than duration"),
            (
                &["user.0.deposit=\"0\"", "user.1.deposit=\"0\"", "user.2.deposit=\"0\""],
                "user: nobody has a deposit",
            ),
            (&[undercuts], "provider harbour: pricing of box-1: prices move once an epoch"),
        ];
        for (sets, begins) in cases {
            let told = told(sets);
            assert!(told.len() == 1 && told[0].starts_with(begins), "{sets:?}: {told:?}");
        }
    }
}
