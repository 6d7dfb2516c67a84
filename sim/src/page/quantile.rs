//! Quantiles.

/// Of sorted values, by linear interpolation (NumPy's default). `None` of none.
pub(super) fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = part.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `np.quantile([1, 2, 4, 8, 16], q)` of NumPy 2.4.6.
    #[test]
    fn quantiles_are_those_of_numpy() {
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (part, wanted) in
            [(0.0, 1.0), (0.05, 1.2), (0.25, 2.0), (0.5, 4.0), (0.9, 12.8), (0.95, 14.4), (1.0, 16.0)]
        {
            let found = quantile(&sorted, part).unwrap();
            assert!((found - wanted).abs() < 1e-12, "{part}: {found} is not {wanted}");
        }
        assert_eq!((quantile(&[], 0.5), quantile(&[3.0], 0.95)), (None, Some(3.0)));
    }
}
