//! Names that somebody may have meant.

use std::collections::BTreeSet;

/// So many are told at most.
const TOLD: usize = 5;
/// Letters that may be other than they should be.
const SLIPS: usize = 3;

/// The most alike first; nothing where no name is like it.
fn like<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let last = |of: &str| of.rsplit('.').next().unwrap_or_default().to_owned();
    let slips = |other: &str| match other.contains(name) || name.contains(other) {
        true => 0,
        // What is meant may stand in another table: `fees_ppm` for `money.fees_ppm`.
        false => strsim::osa_distance(name, other).min(strsim::osa_distance(&last(name), &last(other)) + 1),
    };
    let mut near: Vec<(usize, &str)> = names.map(|other| (slips(other), other)).collect();
    near.retain(|(slips, _)| *slips <= SLIPS);
    // A name may be a figure's and a series'.
    let mut known = BTreeSet::new();
    near.sort_by_key(|(slips, _)| *slips);
    near.retain(|(_, name)| known.insert(*name));
    near.into_iter().take(TOLD).map(|(_, name)| name).collect()
}

/// What to say of a name that there is not: which are like it, or else `otherwise`.
#[must_use]
pub fn meant<'a>(name: &str, names: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    match like(name, names).as_slice() {
        [] if otherwise.is_empty() => String::new(),
        [] => format!("; {otherwise}"),
        near => format!("; there is {}", near.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearest_comes_first_and_what_is_far_not_at_all() {
        let names = ["money.charged", "money.earned", "jobs.total", "ttft.p95_ms"];
        let like = |name: &str| like(name, names.into_iter());
        assert_eq!(like("money.earnd"), ["money.earned"]);
        assert_eq!(like("earned"), ["money.earned"]);
        assert_eq!(like("ttft"), ["ttft.p95_ms"]);
        assert_eq!(like("market.surplus"), Vec::<&str>::new());
        assert_eq!(meant("ttft", ["ttft", "ttft"].into_iter(), ""), "; there is ttft");
    }
}
