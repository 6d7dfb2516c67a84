//! A study as one page: what was asked, what came out, how sure that is, and how to get it again.
//!
//! The page is one file without scripts: drawings are SVG in the text, nothing is fetched from anywhere, and a policy in the page
//! keeps browsers from fetching even if something slipped in. All names, values, errors and texts of the study are
//! escaped by the templates (`maud`). The same study gives the same bytes.
//!
//! What is absent: figures of its own. All numbers are those of the results, statistics those of [`crate::stats`].

mod answer;
mod chart;
mod definitions;
mod distributions;
mod earners;
mod fans;
mod header;
mod income;
mod kpis;
mod label;
mod number;
mod outliers;
mod paired;
mod pieces;
mod reproduce;
mod setup;
mod sweeps;
mod unit;
mod verdicts;
mod view;
mod waits;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::like::meant;
use crate::results::Study;
use label::Labels;
use view::View;

/// Browsers may use the page's own style and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// What of a study the page puts first.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The point that others are compared with.
    pub baseline: usize,
    /// What the page is about, and what it answers beside that; none: what theory or an expectation names.
    pub figures: Vec<String>,
}

impl Choice {
    /// `baseline` is a point's number, from 0, or values as in `path=value,path=value`, of which one point must have all.
    pub fn new(study: &Study, baseline: Option<&str>, figures: Vec<String>) -> Result<Self, String> {
        if let Some(name) = figures.iter().find(|name| !study.runs.figures.contains(name)) {
            let meant = meant(
                name,
                study.runs.figures.iter().map(String::as_str),
                "the first line of runs.csv has all",
            );
            return Err(format!("--figure {name}: these results have no such figure{meant}"));
        }
        let baseline = baseline.map_or(Ok(0), |text| point(study, text))?;
        let mut once: Vec<String> = Vec::new();
        for figure in figures {
            if !once.contains(&figure) {
                once.push(figure);
            }
        }
        Ok(Self { baseline, figures: once })
    }
}

fn point(study: &Study, text: &str) -> Result<usize, String> {
    let manifest = &study.manifest;
    let wrong = |why: String| format!("--baseline {text}: {why}");
    let values = |at: usize| {
        let values = manifest.paths.iter().zip(&manifest.points[at].values);
        values.map(|(path, value)| format!("{path}={value}")).collect::<Vec<_>>().join(",")
    };
    if let Ok(index) = text.parse::<usize>() {
        let last = manifest.points.len().saturating_sub(1);
        return (index <= last).then_some(index).ok_or_else(|| wrong(format!("points are 0 to {last}")));
    }
    let mut found: Vec<usize> = (0..manifest.points.len()).collect();
    // Values may hold commas, so each path is looked for with what follows it.
    let mut rest = text;
    while !rest.is_empty() {
        let (path, after) =
            rest.split_once('=').ok_or_else(|| wrong("write path=value,path=value".into()))?;
        // As the page calls it, too.
        let short = Labels::new(manifest).paths;
        let is = |known: &String| known == path.trim();
        let at = manifest.paths.iter().position(is).or_else(|| short.iter().position(is));
        let at = at.ok_or_else(|| {
            wrong(format!("{path} was not varied; varied were {}", manifest.paths.join(", ")))
        })?;
        let ends = |value: &str| after == value || after.starts_with(&format!("{value},"));
        let of_point = |point: usize| manifest.points[point].values[at].as_str();
        let value = found
            .iter()
            .map(|point| of_point(*point))
            .filter(|value| ends(value))
            .max_by_key(|value| value.len());
        let value = value
            .ok_or_else(|| wrong(format!("no point has {path}={after}; the first is {}", values(0))))?
            .to_owned();
        found.retain(|point| of_point(*point) == value);
        rest = after[value.len()..].trim_start_matches(',');
    }
    match found.as_slice() {
        [one] => Ok(*one),
        several => Err(wrong(format!(
            "{} points have that: name more of {}",
            several.len(),
            manifest.paths.join(", ")
        ))),
    }
}

/// The page, with the first point as its baseline.
pub fn render(study: &Study) -> String {
    render_as(study, &Choice::default())
}

pub fn render_as(study: &Study, choice: &Choice) -> String {
    let view = View::new(study, choice);
    let sections: Vec<Section> = [
        Some(answer::section(&view)),
        Some(setup::section(&view)),
        Some(kpis::section(&view)),
        paired::section(&view),
        sweeps::section(&view),
        fans::section(&view),
        distributions::section(&view),
        Some(outliers::section(&view)),
        Some(definitions::section(&view)),
        Some(reproduce::section(&view)),
    ]
    .into_iter()
    .flatten()
    .collect();
    document(&study.manifest.scenario, &sections).into_string()
}

/// A part of the page, with what a link to it names.
struct Section {
    id: &'static str,
    title: &'static str,
    body: Markup,
}

fn document(scenario: &str, sections: &[Section]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (scenario) " – labman-sim report" }
                // Else browsers ask the page's server for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(include_str!("page/style.css"))) }
            }
            body {
                a.skip href="#answer" { "To the answer" }
                header {
                    p.kind { "labman-sim report" }
                    h1 { (scenario) }
                    nav aria-label="Parts of this page" {
                        ul { @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                    }
                }
                main {
                    @for section in sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                            h2 id={ (section.id) "-title" } { (section.title) }
                            (section.body)
                        }
                    }
                }
            }
        }
    }
}
