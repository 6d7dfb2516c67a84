//! What each kind of provider did and earned, where a scenario has several: a kind is one of its `[[provider]]` tables.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::pieces::table;
use super::unit::{Format, Unit};
use super::view::View;

/// Kinds that are shown; the others are in the results.
const KINDS: usize = 40;

/// Of one kind at one point.
#[derive(Default)]
struct Sum {
    runs: BTreeSet<u32>,
    providers: BTreeSet<String>,
    jobs: f64,
    earned: f64,
}

impl Sum {
    fn mean(&self, sum: f64) -> f64 {
        sum / self.runs.len().max(1) as f64
    }
}

pub(super) fn markup(view: &View<'_>, points: &[usize]) -> Option<Markup> {
    let kinds = kinds(&view.study.manifest.text);
    let mut sums: BTreeMap<(&str, usize), Sum> = BTreeMap::new();
    for income in &view.study.incomes {
        let kind = kind(&kinds, &income.provider);
        let sum = sums.entry((kind, income.point as usize)).or_default();
        sum.runs.insert(income.run);
        sum.jobs += income.jobs as f64;
        sum.earned += income.earned as f64;
        if !sum.providers.contains(&income.provider) {
            sum.providers.insert(income.provider.clone());
        }
    }
    // In the order of the scenario; whom something renamed comes last.
    let place = |kind: &str| kinds.iter().position(|known| known == kind).unwrap_or(kinds.len());
    let mut shown: Vec<&str> =
        sums.keys().filter(|(_, point)| points.contains(point)).map(|(kind, _)| *kind).collect();
    shown.sort_by_key(|kind| (place(kind), *kind));
    shown.dedup();
    if shown.len() < 2 {
        return None;
    }
    let most = sums.values().map(|sum| sum.mean(sum.earned)).fold(0.0, f64::max);
    let money = Format::new(Unit::Money, most, most / 1e3, view.currency());
    let count = Format::new(Unit::Count, 1.0, 1.0, "");
    let cells = |kind: &str, point: usize| {
        let Some(sum) = sums.get(&(kind, point)) else {
            return html! { td.n { "–" } td.n { "–" } td.n { "–" } };
        };
        html! {
            td.n { (sum.providers.len()) }
            td.n { (count.number(sum.mean(sum.jobs))) }
            td.n { (money.number(sum.mean(sum.earned))) }
        }
    };
    let head = html! {
        tr {
            th scope="col" rowspan="2" { "Provider" }
            @for point in points { th.group scope="colgroup" colspan="3" { (view.labels.points[*point]) } }
        }
        tr { @for _ in points { @for name in ["Number", "Jobs", "Earned"] { th.n scope="col" { (name) } } } }
    };
    let body = html! {
        tbody {
            @for kind in shown.iter().take(KINDS) {
                tr { th scope="row" { (kind) } @for point in points { (cells(kind, *point)) } }
            }
        }
    };
    let caption = format!(
        "Jobs, and earnings in {}: all of a kind together, in the mean over runs",
        money.shown.suffix
    );
    Some(html! {
        h3 { "Who earned what" }
        p.note {
            "A kind of provider is a " code { "[[provider]]" } " of the scenario; each of them alone is in " code { "providers.parquet" } "."
            @if shown.len() > KINDS { " Shown are " (KINDS) " of " (shown.len()) " kinds." }
        }
        (table(&caption, head, body))
    })
}

/// As the scenario names them.
fn kinds(scenario: &str) -> Vec<String> {
    let root: toml::Table = scenario.parse().unwrap_or_default();
    let all = root.get("provider").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
    all.iter().filter_map(|one| one.get("name")?.as_str()).map(str::to_owned).collect()
}

/// Of a group's member, which has a number after its name, the group.
fn kind<'a>(kinds: &[String], provider: &'a str) -> &'a str {
    let known = |name: &str| kinds.iter().any(|kind| kind == name);
    match provider.rsplit_once('-') {
        Some((group, number)) if !known(provider) && known(group) && number.parse::<u32>().is_ok() => group,
        Some(_) | None => provider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_member_is_of_its_kind() {
        let kinds = kinds("[[provider]]\nname = \"box\"\ncount = 3\n[[provider]]\nname = \"box-7\"\n");
        let of = |name| kind(&kinds, name);
        assert_eq!(
            ["box-3", "box-7", "box", "box-", "pier-1"].map(of),
            ["box", "box-7", "box", "box-", "pier-1"]
        );
    }
}
