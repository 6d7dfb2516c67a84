//! Numbers as text.

/// With commas between thousands and a true minus sign; `decimals` after the point.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "\u{2013}".into();
    }
    if value.abs() >= 1e15 {
        return format!("{value:.3e}").replace('-', "\u{2212}");
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, part) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
    let mut out = String::new();
    // Nothing is less than nothing: what rounds to 0 has no sign.
    if value < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        out.push('\u{2212}');
    }
    for (place, digit) in whole.char_indices() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(part) = part {
        out.push('.');
        out.push_str(part);
    }
    out
}

/// A count in running text: `1 run`, `1,000 runs`.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number as f64, 0), if number == 1 { one } else { many })
}

/// A probability: `p = 0.012`, `p < 0.0001`.
pub(super) fn probability(p: f64) -> String {
    if p < 0.0001 { "<\u{a0}0.0001".into() } else { format!("{p:.4}") }
}

/// A share as percent, with its sign.
pub(super) fn change(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = if percent.abs() >= 100.0 { 0 } else { 1 };
    let text = grouped(percent, decimals);
    let sign = if percent > 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { "+" } else { "" };
    format!("{sign}{text}\u{a0}%")
}

/// A place in a drawing, in pixels, to a tenth.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".into(),
        Some(whole) => whole.into(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped_and_nothing_has_no_sign() {
        assert_eq!(grouped(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(grouped(-1_000.0, 0), "\u{2212}1,000");
        assert_eq!(grouped(-0.001, 1), "0.0");
        assert_eq!(grouped(999.0, 0), "999");
        assert_eq!(grouped(f64::NAN, 0), "\u{2013}");
        assert_eq!(grouped(-2e20, 0), "\u{2212}2.000e20");
    }

    #[test]
    fn a_change_is_told_in_percent() {
        assert_eq!(
            [0.1234, -0.5, 3.0, 0.000_01].map(change),
            ["+12.3\u{a0}%", "\u{2212}50.0\u{a0}%", "+300\u{a0}%", "0.0\u{a0}%"]
        );
    }

    #[test]
    fn places_are_short() {
        assert_eq!([12.0, 0.04, -0.01, 7.25].map(px), ["12", "0", "0", "7.2"]);
    }
}
