//! Who gets what: income among providers, jobs by provider, and what users pay beside what providers earn.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::bars::{self, Bar, bars};
use super::chart::line::steps;
use super::chart::lorenz::lorenz;
use super::chart::scale::Scale;
use super::chart::{Frame, axes};
use super::income::{Incomes, by_point};
use super::number::grouped;
use super::pieces::panel;
use super::unit::{Shown, Unit};
use super::view::View;
use super::{Section, earners, waits};
use crate::stats::estimate;

/// Points that are drawn; of more, a choice.
const POINTS: usize = 6;

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let points = view.drawn(POINTS);
    let incomes = by_point(view);
    let parts: Vec<Markup> = [
        income(view, &points, &incomes),
        earners::markup(view, &points),
        jobs(view, &points, &incomes),
        waits::markup(view, &points),
        welfare(view, &points),
    ]
    .into_iter()
    .flatten()
    .collect();
    let body = html! {
        @if points.len() > 1 { p.note { "Dashed: the baseline." } }
        @for part in &parts { (part) }
    };
    (!parts.is_empty()).then_some(Section { id: "distributions", title: "Who gets what", body })
}

fn income(view: &View<'_>, points: &[usize], incomes: &BTreeMap<usize, Incomes>) -> Option<Markup> {
    let known: Vec<usize> = points
        .iter()
        .copied()
        .filter(|point| incomes.get(point).is_some_and(|it| !it.curve.is_empty()))
        .collect();
    let reference =
        incomes.get(&view.baseline).map(|it| it.curve.as_slice()).filter(|curve| !curve.is_empty());
    let one = |point: &usize| {
        let of = &incomes[point];
        let (frame, marks) = lorenz(&of.curve, reference.filter(|_| *point != view.baseline));
        let gini = gini(&of.gini);
        let label = &view.labels.points[*point];
        let half = super::chart::lorenz::at(&of.curve, 0.5) * 100.0;
        let description =
            format!("The poorer half of the providers has {half:.1} % of all income. Gini {gini}.");
        panel(
            html! { (label) ": Gini " strong { (gini) } },
            &frame,
            &format!("Lorenz curve of income, {label}"),
            &description,
            marks,
        )
    };
    (!known.is_empty()).then(|| {
        html! {
            h3 { "Income of providers" }
            p.note { "Lorenz curves: what part of all income the poorest providers have, in the mean over runs; on the straight line all earn the same. The Gini coefficient is 0 there, and 1 where one has all." }
            div.panels { @for point in &known { (one(point)) } }
        }
    })
}

fn gini(sample: &[f64]) -> String {
    match estimate(sample) {
        None => "–".into(),
        Some(it) => match it.interval {
            Some(interval) => format!(
                "{} (95 % {} to {})",
                grouped(it.mean, 3),
                grouped(interval.low, 3),
                grouped(interval.high, 3)
            ),
            None => grouped(it.mean, 3),
        },
    }
}

fn jobs(view: &View<'_>, points: &[usize], incomes: &BTreeMap<usize, Incomes>) -> Option<Markup> {
    let samples: BTreeMap<usize, Vec<f64>> =
        points.iter().filter_map(|point| Some((*point, incomes.get(point)?.jobs.clone()))).collect();
    let shown = Shown { factor: 1.0, suffix: String::new() };
    let drawings = below(view, &samples, &shown, "jobs of a provider", "% of providers")?;
    Some(html! {
        h3 { "Jobs by provider" }
        p.note { "What part of the providers, of all runs together, did at most so many jobs." }
        div.panels { (drawings) }
    })
}

/// Empirical distribution functions on one scale. `None` where nothing varies.
fn below(
    view: &View<'_>,
    samples: &BTreeMap<usize, Vec<f64>>,
    shown: &Shown,
    along: &str,
    upward: &str,
) -> Option<Markup> {
    let all = || samples.values().flatten().map(|value| value * shown.factor);
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
    if most <= least {
        return None;
    }
    let frame = Frame::panel(&["100".into()]);
    let x = Scale::nice((least, most), frame.x());
    let y = Scale::linear((0.0, 100.0), frame.y());
    let places = |sample: &[f64]| {
        let count = sample.len() as f64;
        // Equal values are one step, and of many thousand no more are drawn than can be seen.
        let mut places = vec![(x.start(), y.at(0.0))];
        for (at, value) in sample.iter().enumerate() {
            let place = (x.at(value * shown.factor), y.at((at + 1) as f64 / count * 100.0));
            match places.last_mut() {
                Some(last) if at > 0 && place.0 - last.0 < 0.5 => last.1 = place.1,
                _ => places.push(place),
            }
        }
        places.push((x.end(), y.at(100.0)));
        places
    };
    let reference = samples.get(&view.baseline).map(|sample| places(sample));
    let one = |(point, sample): (&usize, &Vec<f64>)| {
        let label = &view.labels.points[*point];
        let marks = html! {
            (axes(&frame, &x, &y, upward, along))
            @if let Some(reference) = reference.as_ref().filter(|_| *point != view.baseline) { (steps("reference", reference)) }
            (steps("line", &places(sample)))
        };
        let part = |part: f64| crate::stats::quantile(sample, part).unwrap_or_default() * shown.factor;
        let description = format!(
            "Median {:.2}; nine tenths lie between {:.2} and {:.2} {}.",
            part(0.5),
            part(0.05),
            part(0.95),
            shown.suffix
        );
        panel(html! { (label) }, &frame, &format!("Distribution of {along}, {label}"), &description, marks)
    };
    Some(html! { @for it in samples.iter().filter(|(_, sample)| !sample.is_empty()) { (one(it)) } })
}

/// What answers came to at one point, in the mean over runs.
struct Welfare {
    point: usize,
    earned: f64,
    /// Fees, and what was earned in other currencies.
    rest: f64,
    /// What users would have paid beyond what they did; 0 where some would have paid any price.
    surplus: f64,
}

impl Welfare {
    fn of(view: &View<'_>, point: usize) -> Option<Self> {
        let mean = |name: &str| view.figure(name).and_then(|figure| figure.mean(point));
        let (charged, earned) = (mean("money.charged")?, mean("money.earned")?);
        let surplus = mean("money.surplus").unwrap_or(0.0).max(0.0);
        Some(Self { point, earned, rest: charged - earned, surplus })
    }

    fn total(&self) -> f64 {
        self.earned + self.rest + self.surplus
    }
}

fn welfare(view: &View<'_>, points: &[usize]) -> Option<Markup> {
    let known: Vec<Welfare> = points.iter().filter_map(|point| Welfare::of(view, *point)).collect();
    let most = known.iter().map(Welfare::total).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let has_surplus = known.iter().any(|it| it.surplus > 0.0);
    let shown = Unit::Money.shown(most, view.currency());
    let format = &view.figure("money.charged")?.format;
    let bar = |it: &Welfare| {
        let parts = [it.earned, it.rest].into_iter().chain(has_surplus.then_some(it.surplus));
        Bar {
            label: super::label::clipped(&view.labels.points[it.point], 40),
            parts: parts.map(|part| (part * shown.factor, format.number(part))).collect(),
            total: format.number(it.total()),
        }
    };
    let rows: Vec<Bar> = known.iter().map(bar).collect();
    let frame = bars::frame(&rows);
    let told = known.iter().map(|it| {
        let (label, charged) = (&view.labels.points[it.point], format.full(it.earned + it.rest));
        let more = format!(", and would have paid {} more", format.full(it.surplus));
        let more = if has_surplus { more } else { String::new() };
        format!("{label}: users paid {charged}{more}, providers earned {}", format.full(it.earned))
    });
    let description = told.collect::<Vec<_>>().join("; ");
    let marks = bars(&frame, &rows, &shown.suffix);
    let (heading, title) = match has_surplus {
        true => ("What answers are worth, and to whom", "What answers were worth to their users"),
        false => ("What users pay and providers earn", "What users were charged"),
    };
    let caption = html! {
        (title)
        span.key.part-0 {} "providers’ earnings" span.key.part-1 {} "the rest: fees, and what was earned in other currencies"
        @if has_surplus { span.key.part-2 {} "what users would have paid beyond that" }
    };
    Some(html! {
        h3 { (heading) }
        (panel(caption, &frame, title, &description, marks))
    })
}
