//! A value and its interval in a cell of a table, on a scale that the rows above and below share.

use maud::{Markup, html};

use super::scale::Scale;
use crate::page::number::px;

const WIDTH: f64 = 150.0;
const HEIGHT: f64 = 18.0;
const MARGIN: f64 = 8.0;

/// The scale of all strips of a column.
pub(in crate::page) fn scale(range: (f64, f64)) -> Scale {
    Scale::linear(range, (MARGIN, WIDTH - MARGIN))
}

/// A thin line for where nine of ten runs lie, a thick one for the interval, a dot for the value, a line across at `mark`. What lies
/// beyond the scale ends in an arrow. Text beside it says the same, so nothing is read out.
pub(in crate::page) fn strip(
    scale: &Scale,
    value: f64,
    interval: Option<(f64, f64)>,
    wide: Option<(f64, f64)>,
    mark: Option<f64>,
) -> Markup {
    let middle = px(HEIGHT / 2.0);
    let span = |class: &str, (low, high): (f64, f64)| {
        html! { line class=(class) x1=(px(scale.within(low))) x2=(px(scale.within(high))) y1=(middle) y2=(middle) {} }
    };
    let ends = interval.unwrap_or((value, value));
    html! {
        svg.strip aria-hidden="true" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) width=(px(WIDTH)) height=(px(HEIGHT)) {
            @if let Some(mark) = mark.filter(|mark| scale.holds(*mark)) {
                line.mark x1=(px(scale.at(mark))) x2=(px(scale.at(mark))) y1="0" y2=(px(HEIGHT)) {}
            }
            @if let Some(wide) = wide { (span("thin", wide)) }
            @if let Some(interval) = interval { (span("whisker", interval)) }
            @if scale.holds(value) { circle.dot cx=(px(scale.at(value))) cy=(middle) r="3.5" {} }
            @if scale.at(ends.0) < scale.start() { (arrow(MARGIN, -1.0)) }
            @if scale.at(ends.1) > scale.end() { (arrow(WIDTH - MARGIN, 1.0)) }
        }
    }
}

/// Points outward.
fn arrow(at: f64, way: f64) -> Markup {
    let (tip, back, middle) = (at + way * 7.0, at, HEIGHT / 2.0);
    html! { path.dot d=(format!("M{} {middle}L{} {}V{}Z", px(tip), px(back), px(middle - 4.0), px(middle + 4.0))) {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_lead_to_the_side_where_there_is_more() {
        let scale = scale((-1.0, 1.0));
        let arrows = |value, interval| {
            strip(&scale, value, interval, None, None).into_string().matches("path").count() / 2
        };
        assert_eq!(arrows(0.5, Some((0.4, 0.6))), 0);
        assert_eq!(arrows(0.5, Some((-2.0, 3.0))), 2);
        for all_beyond in [(5.0, Some((4.0, 6.0))), (-5.0, Some((-6.0, -4.0))), (5.0, None)] {
            assert_eq!(arrows(all_beyond.0, all_beyond.1), 1, "{all_beyond:?}");
        }
    }
}
