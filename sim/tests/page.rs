//! The page of a study: what a reader sees, and that nothing in a study can make it anything else.

#[path = "page/made_up.rs"]
mod made_up;

use std::collections::BTreeSet;

use labman_sim::page::{Choice, render, render_as};
use labman_sim::results::{Study, Wait};

/// What stands between tags, with single spaces, those that no line ends at among them.
fn text(page: &str) -> String {
    let body = page.split_once("<body>").expect("a body").1;
    let mut text = String::new();
    for piece in body.split('<') {
        let after = piece.split_once('>').map_or(piece, |(_, after)| after);
        text.push_str(after);
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Names of elements and of attributes, as a browser would read them.
fn names(page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut elements, mut attributes) = (BTreeSet::new(), BTreeSet::new());
    // The style is no markup, and has no `<`.
    for tag in page.split('<').skip(1) {
        let mut rest = tag;
        let end = rest.find(|next: char| next.is_whitespace() || next == '>').expect("an end");
        elements.insert(rest[..end].trim_start_matches('/').to_owned());
        rest = rest[end..].trim_start();
        while !rest.starts_with('>') {
            let end = rest.find(|next: char| next.is_whitespace() || "=>".contains(next)).expect("an end");
            attributes.insert(rest[..end].to_owned());
            rest = rest[end..].trim_start();
            if let Some(value) = rest.strip_prefix("=\"") {
                rest = value.split_once('"').expect("a closing quote").1.trim_start();
            }
        }
    }
    (elements, attributes)
}

#[test]
fn the_answer_is_said_with_its_size_and_how_sure_it_is() {
    let said = text(&render(&made_up::fees()));
    assert!(said.contains("Do higher fees drive users away, and who pays for it?"));
    assert!(said.contains("At the baseline, fep_bps = 0, money.charged is "), "{said}");
    assert!(said.contains("With fep_bps = 500 it is higher by "), "{said}");
    assert!(said.contains("(+11.1 %); 95 % interval of the difference "), "{said}");
    assert!(said.contains("2 of 90 runs failed"), "{said}");
    assert!(said.contains("jobs.failed <= 20"), "{said}");
}

#[test]
fn texts_with_commas_are_got_again_by_a_list() {
    let mut study = made_up::fees();
    for (at, text) in ["Hello, you", "Bye", "And now?"].into_iter().enumerate() {
        study.manifest.points[at].values[0] = text.into();
    }
    let said = text(&render(&study));
    assert!(said.contains("--list points.csv") && said.contains("\"Hello, you\""));
}

#[test]
fn what_failed_is_told_with_the_line_that_runs_it_again() {
    let said = text(&render(&made_up::fees()));
    let line = "labman-sim run made-up.toml --seed 6 --set 'latency.mesh={ constant = \"20ms\" }' --set fep.fees.fep_bps=100";
    assert!(said.contains("expected jobs.failed <= 20, found 61"), "{said}");
    assert!(said.contains("panic: index out of bounds"), "{said}");
    assert!(said.contains(line), "{said}");
    let whole = "labman-sim sweep made-up.toml --seeds 30 --set 'latency.mesh={ constant = \"20ms\" }' --grid fep.fees.fep_bps=0,100,500";
    assert!(said.contains(whole), "{said}");
}

#[test]
fn each_kind_of_design_has_its_drawing() {
    let alone = text(&render(&made_up::alone()));
    assert!(!alone.contains("Against the baseline") && !alone.contains("What it depends on"));
    let map = text(&render(&made_up::map()));
    assert!(map.contains("Means over seeds; darker is more"), "{map}");
    let latin = text(&render(&made_up::latin()));
    assert!(
        latin.contains(
            "Of 4 settings it depends most on slots, and perhaps as much on every: it falls with the first"
        ),
        "{latin}"
    );
    assert!(latin.contains("--list points.csv"), "{latin}");
}

#[test]
fn waits_are_those_of_jobs_and_not_of_runs() {
    let mut study = made_up::alone();
    study.runs.rows.truncate(1);
    study.waits.retain(|wait| wait.run == 0);
    let waited = |until: &str, permille| {
        let is = |wait: &&Wait| (wait.until.as_str(), wait.permille) == (until, permille);
        study.waits.iter().find(is).map(|wait| wait.us).unwrap()
    };
    let median_ms = waited("ttft", 500) as f64 / 1e3;
    let said = text(&render(&study));
    assert!(said.contains("Waits until the first text"), "{said}");
    assert!(said.contains(&format!("half within {median_ms:.1} ms")), "{median_ms} in {said}");
    assert!(said.contains("Waits until the last byte"), "{said}");
}

#[test]
fn what_users_would_have_paid_is_shown_where_it_is_known() {
    let mut study = made_up::fees();
    let said = text(&render(&study));
    assert!(said.contains("What users pay and providers earn") && !said.contains("to whom"), "{said}");
    study.runs.figures.push("money.surplus".into());
    for row in &mut study.runs.rows {
        let charged = study.runs.figures.iter().position(|name| name == "money.charged");
        let charged = charged.and_then(|at| row.figures[at]);
        row.figures.push(charged.map(|charged| 2.0 * charged));
    }
    let said = text(&render(&study));
    assert!(said.contains("What answers are worth, and to whom"), "{said}");
    assert!(said.contains("and would have paid"), "{said}");
}

#[test]
fn another_baseline_or_figure_can_be_chosen() {
    let study = made_up::fees();
    let choose = |baseline, figure: Option<&str>| {
        Choice::new(&study, baseline, figure.map(str::to_owned).into_iter().collect())
    };
    let choice = choose(Some("fep.fees.fep_bps=500"), Some("jobs.refused")).unwrap();
    assert_eq!(choice.baseline, 2);
    assert_eq!(choose(Some("1"), None).unwrap().baseline, 1);
    let said = text(&render_as(&study, &choice));
    assert!(said.contains("At the baseline, fep_bps = 500, jobs.refused is "), "{said}");
    let wrong = |baseline, figure| choose(baseline, figure).unwrap_err();
    assert!(wrong(Some("7"), None).contains("points are 0 to 2"));
    assert!(wrong(Some("fep.fees.fep_bps=7"), None).contains("no point has fep.fees.fep_bps=7"));
    assert!(wrong(Some("slots=7"), None).contains("slots was not varied; varied were fep.fees.fep_bps"));
    assert!(wrong(None, Some("money.charge")).contains("have no such figure; there is money.charged"));
    assert!(wrong(None, Some("who won")).contains("have no such figure; the first line of runs.csv has all"));
    assert_eq!(choose(Some("fep_bps=500"), None).unwrap().baseline, 2);
    let map = made_up::map();
    let two = |text| Choice::new(&map, Some(text), Vec::new());
    assert_eq!(two("fep.fees.fep_bps=100,provider.0.portman.0.slots=4").unwrap().baseline, 7);
    assert!(two("fep.fees.fep_bps=100").unwrap_err().contains("5 points have that"));
}

#[test]
fn a_question_of_several_figures_is_answered_by_each() {
    let study = made_up::fees();
    let figures = ["money.charged", "sojourn.mean_us", "money.charged"].map(str::to_owned);
    let choice = Choice::new(&study, None, figures.into()).unwrap();
    let said = text(&render_as(&study, &choice));
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what} in {said}"));
    let (charged, waited) = (at("money.charged is "), at("sojourn.mean_us is "));
    assert!(charged < waited && waited < at("Also different from the baseline"), "{said}");
    assert_eq!(said.matches("money.charged is ").count(), 1, "{said}");
    let once_more = at("labman-sim report results --figure money.charged --figure sojourn.mean_us");
    assert!(waited < once_more);
}

#[test]
fn a_page_says_how_it_is_made_again() {
    let study = made_up::fees();
    let said = |choice: &Choice| text(&render_as(&study, choice));
    let plain = said(&Choice::default());
    assert!(
        plain.contains("labman-sim report results") && !plain.contains("results --"),
        "nothing was chosen"
    );
    let choice = Choice::new(&study, Some("1"), vec!["jobs.refused".into()]).unwrap();
    assert!(said(&choice).contains("labman-sim report results --figure jobs.refused --baseline 1"));
}

#[test]
fn a_part_of_a_sweep_says_nothing_of_differences_between_runs_of_different_seeds() {
    let mut study = made_up::fees();
    study.manifest.shard = Some("1/3".into());
    let own = |point: u32, seed: u64| seed % 3 == u64::from(point % 3);
    study.runs.rows.retain(|row| own(row.point, row.seed));
    let said = text(&render(&study));
    assert!(said.contains("This is the part 1/3 of a sweep"), "{said}");
    assert!(said.contains("of differences nothing can be said"), "{said}");
    for untrue in ["by more than chance", "in any pair of runs", "every point has the same seeds"] {
        assert!(!said.contains(untrue), "{untrue}: {said}");
    }
}

#[test]
fn the_same_study_gives_the_same_bytes() {
    assert_eq!(render(&made_up::latin()), render(&made_up::latin()));
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    for study in [made_up::fees(), made_up::map(), made_up::latin()] {
        let page = render(&study);
        for what in ["http:", "https:", "url(", "src=", "@import", "<script", "javascript:"] {
            assert!(!page.contains(what), "{what}");
        }
    }
}

#[test]
fn every_drawing_says_what_it_shows_and_every_number_is_one() {
    for study in [made_up::alone(), made_up::fees(), made_up::map(), made_up::latin()] {
        let page = render(&study);
        let drawings: Vec<&str> = page.split("<svg role=\"img\"").skip(1).collect();
        assert!(drawings.len() > 5);
        for drawing in drawings {
            let drawing = drawing.split("</svg>").next().unwrap_or_default();
            assert!(drawing.contains("<title>") && !drawing.contains("<title></title>"), "{drawing}");
            assert!(drawing.contains("<desc>") && !drawing.contains("<desc></desc>"), "{drawing}");
            assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
        }
    }
}

#[test]
fn names_and_errors_stay_text_whatever_they_say() {
    const EVIL: &str =
        r#"</title></style></pre>"'><script>alert(1)</script><img src=x onerror="alert(2)"> &amp; ]]><!--"#;
    let honest = names(&render(&made_up::fees()));
    let mut study = made_up::fees();
    let manifest = &mut study.manifest;
    manifest.scenario = EVIL.into();
    manifest.text = format!("# {EVIL}\n# Expected: {EVIL}\nname = \"x\"\n");
    manifest.sets = vec![format!("name={EVIL}")];
    manifest.paths = vec![EVIL.into()];
    manifest.points.iter_mut().enumerate().for_each(|(at, point)| {
        point.values = vec![format!("{at}{EVIL}")];
        point.variant = EVIL.into();
    });
    (manifest.build, manifest.currency, manifest.shard) = (EVIL.into(), EVIL.into(), Some(EVIL.into()));
    manifest.expects[0].field = format!("jobs.{EVIL}");
    study.runs.figures.iter_mut().for_each(|figure| figure.push_str(EVIL));
    study.runs.rows.iter_mut().for_each(|row| row.trace_hash = EVIL.into());
    study.runs.rows[35].error = EVIL.into();
    study.ticks.iter_mut().for_each(|tick| tick.series.push_str(EVIL));
    study.incomes.iter_mut().for_each(|income| income.provider.push_str(EVIL));
    let page = render(&study);
    let (elements, attributes) = names(&page);
    assert!(elements.is_subset(&honest.0), "{elements:?}");
    assert!(attributes.is_subset(&honest.1), "{attributes:?}");
    assert!(text(&page).contains("<script>alert(1)</script><img src=x onerror=\"alert(2)\">"));
}

#[test]
fn a_study_with_next_to_nothing_in_it_has_a_page_too() {
    let mut panicked = made_up::fees();
    for row in &mut panicked.runs.rows {
        row.figures.iter_mut().for_each(|figure| *figure = None);
        (row.passed, row.error) = (false, "panic: no".into());
    }
    let said = text(&render(&panicked));
    assert!(said.contains("No run came to its end"), "{said}");
    assert!(said.contains("70 more runs failed"), "{said}");

    let mut once = made_up::alone();
    once.runs.rows.truncate(1);
    (once.ticks, once.incomes, once.waits) = (Vec::new(), Vec::new(), Vec::new());
    assert!(text(&render(&once)).contains("Over 1 run, "));

    let mut nothing = made_up::alone();
    nothing.runs.rows.clear();
    nothing.manifest.points.clear();
    nothing.manifest.text.clear();
    (nothing.ticks, nothing.incomes, nothing.waits) = (Vec::new(), Vec::new(), Vec::new());
    assert!(text(&render(&nothing)).contains("does not say what is asked"));
}

/// Points of which the first of every pair has no partner.
#[test]
fn pairs_are_of_runs_with_one_seed_wherever_rows_are_lacking() {
    let whole: Study = made_up::fees();
    let mut study = made_up::fees();
    study.runs.rows.retain(|row| !(row.point == 1 && row.run % 3 == 0));
    let said = text(&render(&study));
    assert!(said.contains("20 pairs; bold"), "{said}");
    assert!(text(&render(&whole)).contains("30 pairs; bold"));
}
