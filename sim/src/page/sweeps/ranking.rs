//! Which settings matter most where many are varied.

use maud::{Markup, html};

use super::levels;
use crate::page::chart::scatter::{Along, scatter};
use crate::page::chart::strip::{scale, strip};
use crate::page::number::grouped;
use crate::page::pieces::{head, panel, table};
use crate::page::view::{Figure, View};
use crate::stats::Interval;
use crate::stats::rank::sensitivity;

pub(super) struct Ranked {
    /// Path, coefficient, interval: the strongest first.
    pub coefficients: Vec<(usize, f64, Option<Interval>)>,
    pub r_squared: f64,
}

impl Ranked {
    pub(super) fn strongest(&self) -> Option<(usize, f64)> {
        self.coefficients.first().map(|(path, coefficient, _)| (*path, *coefficient))
    }

    /// The second, where it may as well be the strongest.
    pub(super) fn rival(&self) -> Option<usize> {
        let [(.., strongest), (path, _, Some(second)), ..] = self.coefficients.as_slice() else {
            return None;
        };
        let least = strongest.map(|it| if it.low > 0.0 { it.low } else { -it.high })?;
        (second.low.abs().max(second.high.abs()) >= least).then_some(*path)
    }
}

/// On the means of points. Names are ranked if there are two of them; others have no order and are left out.
pub(super) fn rank(view: &View<'_>, figure: &Figure, paths: &[usize]) -> Option<Ranked> {
    let ordered: Vec<(usize, Vec<f64>)> =
        paths.iter().filter_map(|path| Some((*path, ordered(view, *path)?))).collect();
    let known: Vec<usize> = (0..view.points()).filter(|point| figure.mean(*point).is_some()).collect();
    let means: Vec<f64> = known.iter().filter_map(|point| figure.mean(*point)).collect();
    let of_known = |values: &Vec<f64>| known.iter().map(|point| values[*point]).collect();
    let settings: Vec<Vec<f64>> = ordered.iter().map(|(_, values)| of_known(values)).collect();
    let found = sensitivity(&settings, &means)?;
    let named =
        ordered.iter().zip(found.coefficients).map(|((path, _), (mean, interval))| (*path, mean, interval));
    let mut coefficients: Vec<(usize, f64, Option<Interval>)> = named.collect();
    coefficients.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    Some(Ranked { coefficients, r_squared: found.r_squared })
}

fn ordered(view: &View<'_>, path: usize) -> Option<Vec<f64>> {
    let two = || {
        let levels = levels(view, path);
        let place = |value: &String| f64::from(u8::from(value != levels[0]));
        (levels.len() == 2)
            .then(|| view.study.manifest.points.iter().map(|it| place(&it.values[path])).collect())
    };
    view.numbers(path).or_else(two)
}

pub(super) fn markup(view: &View<'_>, figures: &[&Figure], paths: &[usize]) -> Option<Markup> {
    let primary = figures.first()?;
    let ranked = rank(view, primary, paths)?;
    let left_out: Vec<usize> = paths.iter().copied().filter(|path| ordered(view, *path).is_none()).collect();
    let names = |paths: &[usize]| {
        paths.iter().map(|path| view.labels.paths[*path].as_str()).collect::<Vec<_>>().join(", ")
    };
    Some(html! {
        p.note {
            "Standardised rank regression coefficients: settings and the point’s mean are replaced by their ranks; a coefficient of 1 or −1 means that the figure "
            "rises or falls with that setting alone, if the settings themselves do not go together. They say nothing of what is not monotone; R² says how much of the ranks they explain."
            @if !left_out.is_empty() { " Without " (names(&left_out)) ", whose values have no order." }
        }
        (strongest(view, primary, &ranked))
        (others(view, figures.get(1..).unwrap_or_default(), paths, &ranked))
        h3 { code { (primary.name) } " by each setting" }
        p.note { "A dot is a point’s mean over seeds." }
        div.panels { @for (path, ..) in &ranked.coefficients { (by(view, primary, *path)) } @for path in &left_out { (by(view, primary, *path)) } }
    })
}

fn strongest(view: &View<'_>, figure: &Figure, ranked: &Ranked) -> Markup {
    let scale = scale((-1.1, 1.1));
    let caption = format!(
        "What {} depends on, over {} points; R² {}",
        figure.name,
        view.points(),
        grouped(ranked.r_squared, 2)
    );
    let columns = [("Setting", false), ("Coefficient", true), ("95 % interval", true), ("−1 to 1", false)];
    table(
        &caption,
        head(&columns),
        html! {
            tbody {
                @for (path, coefficient, interval) in &ranked.coefficients {
                    tr {
                        th scope="row" { code { (view.study.manifest.paths[*path]) } }
                        td.n { strong { (grouped(*coefficient, 2)) } }
                        td.n { @match interval { Some(it) => { (grouped(it.low, 2)) " to " (grouped(it.high, 2)) } None => "–" } }
                        td { (strip(&scale, *coefficient, interval.map(|it| (it.low, it.high)), None, Some(0.0))) }
                    }
                }
            }
        },
    )
}

/// The same for other figures, as numbers.
fn others(view: &View<'_>, figures: &[&Figure], paths: &[usize], ranked: &Ranked) -> Markup {
    let found: Vec<(&Figure, Ranked)> =
        figures.iter().filter_map(|figure| Some((*figure, rank(view, figure, paths)?))).collect();
    if found.is_empty() {
        return html! {};
    }
    let of = |other: &Ranked, path: usize| other.coefficients.iter().find(|it| it.0 == path).map(|it| it.1);
    let columns = html! {
        tr { th scope="col" { "Setting" } @for (figure, _) in &found { th.n scope="col" { code { (figure.name) } } } }
    };
    html! {
        details {
            summary { "Coefficients for " (found.len()) " other figures" }
            (table("Standardised rank regression coefficients", columns, html! {
                tbody {
                    @for (path, ..) in &ranked.coefficients {
                        tr {
                            th scope="row" { code { (view.study.manifest.paths[*path]) } }
                            @for (_, other) in &found { td.n { @match of(other, *path) { Some(it) => (grouped(it, 2)), None => "–" } } }
                        }
                    }
                    tr { th scope="row" { "R²" } @for (_, other) in &found { td.n { (grouped(other.r_squared, 2)) } } }
                }
            }))
        }
    }
}

fn by(view: &View<'_>, figure: &Figure, path: usize) -> Markup {
    let factor = figure.format.shown.factor;
    let known: Vec<usize> = (0..view.points()).filter(|point| figure.mean(*point).is_some()).collect();
    let means: Vec<f64> =
        known.iter().filter_map(|point| figure.mean(*point)).map(|mean| mean * factor).collect();
    let label = &view.labels.paths[path];
    let texts: Vec<String> =
        view.study.manifest.points.iter().map(|it| it.values[path].trim_matches('"').to_owned()).collect();
    let numbers: Option<Vec<f64>> = view.numbers(path).map(|all| known.iter().map(|at| all[*at]).collect());
    let names: Vec<String> = known.iter().map(|at| texts[*at].clone()).collect();
    let along = numbers.as_deref().map_or(Along::Names(&names), Along::Numbers);
    let times = texts.iter().any(|text| text.ends_with('s') || text.ends_with('m') || text.ends_with('h'));
    let what = if numbers.is_some() && times { format!("{label}, s") } else { label.clone() };
    let (frame, marks) = scatter(&along, &means, &figure.format.shown.suffix, &what);
    let (title, description) = (format!("{} by {label}", figure.name), format!("{} points", means.len()));
    panel(html! { code { (label) } }, &frame, &title, &description, marks)
}
