//! Which of several settings a figure depends on most: standardised rank regression coefficients (R. Iman and W. Conover, "The
//! use of the rank transform in regression", 1979; A. Saltelli and others, "Sensitivity Analysis in Practice", 2004).
//!
//! Each setting and the figure are replaced by their ranks and scaled to mean 0 and deviation 1; the coefficients are those of the
//! least-squares plane. They are fit for monotone dependence; how well that describes the figure is said by R². What is absent:
//! interactions, which need a design of their own.

use super::{CONFIDENCE, Interval, t_quantile};

/// Below this a pivot is taken for 0: settings that move together can't be told apart.
const SINGULAR: f64 = 1e-9;

#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// One for each setting, from -1 to 1 where the settings are not correlated. Its interval is that of ordinary least squares;
    /// `None` where nothing is left to estimate it from.
    pub coefficients: Vec<(f64, Option<Interval>)>,
    /// What part of the ranks' variance the plane explains.
    pub r_squared: f64,
}

/// From 1; of equal values each gets their mean rank. SciPy's `rankdata`.
pub fn ranks(sample: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..sample.len()).collect();
    order.sort_by(|a, b| sample[*a].total_cmp(&sample[*b]));
    let mut ranks = vec![0.0; sample.len()];
    let mut from = 0;
    while from < order.len() {
        let equal = order[from..].iter().take_while(|at| sample[**at] == sample[order[from]]).count();
        for at in &order[from..from + equal] {
            ranks[*at] = from as f64 + (equal as f64 + 1.0) / 2.0;
        }
        from += equal;
    }
    ranks
}

/// Pearson's correlation of the ranks. `None` where one does not vary, or there are no two values.
pub fn spearman(one: &[f64], other: &[f64]) -> Option<f64> {
    let (one, other) = (standard(&ranks(one))?, standard(&ranks(other))?);
    Some(dot(&one, &other))
}

/// Of `figure` on `settings`, each with a value for every observation. `None` where the figure or a setting does not vary,
/// settings can't be told apart, or there are no more observations than settings.
pub fn sensitivity(settings: &[Vec<f64>], figure: &[f64]) -> Option<Sensitivity> {
    if settings.is_empty() || figure.len() <= settings.len() {
        return None;
    }
    let figure = standard(&ranks(figure))?;
    let settings: Vec<Vec<f64>> =
        settings.iter().map(|setting| standard(&ranks(setting))).collect::<Option<_>>()?;
    let with_figure: Vec<f64> = settings.iter().map(|setting| dot(setting, &figure)).collect();
    let between = settings.iter().map(|one| settings.iter().map(|other| dot(one, other)).collect());
    let inverse = invert(between.collect())?;
    let coefficients: Vec<f64> = inverse.iter().map(|row| dot(row, &with_figure)).collect();
    let r_squared = dot(&coefficients, &with_figure).clamp(0.0, 1.0);
    let degrees = figure.len() as f64 - settings.len() as f64 - 1.0;
    let half = |at: usize| {
        let error = ((1.0 - r_squared) * inverse[at][at] / degrees).sqrt();
        t_quantile(0.5 + CONFIDENCE / 2.0, degrees) * error
    };
    let around = |(at, mean): (usize, f64)| {
        let interval = (degrees >= 1.0).then(|| Interval { low: mean - half(at), high: mean + half(at) });
        (mean, interval)
    };
    Some(Sensitivity { coefficients: coefficients.into_iter().enumerate().map(around).collect(), r_squared })
}

/// With mean 0 and length 1, so that products are correlations.
fn standard(values: &[f64]) -> Option<Vec<f64>> {
    let mean = super::mean(values)?;
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let length = dot(&centred, &centred).sqrt();
    (length > SINGULAR).then(|| centred.into_iter().map(|value| value / length).collect())
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Gauss-Jordan with the largest pivot of each column.
fn invert(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    for (at, row) in matrix.iter_mut().enumerate() {
        row.extend((0..size).map(|column| f64::from(u8::from(column == at))));
    }
    for column in 0..size {
        let pivot =
            (column..size).max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))?;
        matrix.swap(column, pivot);
        let by = matrix[column][column];
        if by.abs() < SINGULAR {
            return None;
        }
        matrix[column].iter_mut().for_each(|value| *value /= by);
        let first = matrix[column].clone();
        for (_, row) in matrix.iter_mut().enumerate().filter(|(at, _)| *at != column) {
            let times = row[column];
            row.iter_mut().zip(&first).for_each(|(value, other)| *value -= times * other);
        }
    }
    Some(matrix.into_iter().map(|row| row[size..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The numbers below are from NumPy 2.4.6 and SciPy 1.17.1.

    fn twelve() -> ([Vec<f64>; 3], Vec<f64>) {
        let of = |value: fn(u32) -> u32| (0..12).map(|i| f64::from(value(i))).collect::<Vec<f64>>();
        let settings = [of(|i| i * 7 % 12), of(|i| (i * 5 + 3) % 12 / 2), of(|i| i * i % 7)];
        let figure = |i: usize| {
            let [a, b, c] = [0, 1, 2].map(|of: usize| settings[of][i]);
            (a / 3.0).exp() - 2.0 * b * b + c
        };
        let figure = (0..12).map(figure).collect();
        (settings, figure)
    }

    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-12, "{found:e} is not {wanted:e}");
    }

    /// `stats.rankdata(b)`, `stats.spearmanr(a, y).statistic`
    #[test]
    fn ranks_and_their_correlation_are_those_of_scipy() {
        let (settings, figure) = twelve();
        assert_eq!(ranks(&settings[1]), [3.5, 9.5, 1.5, 7.5, 11.5, 5.5, 9.5, 3.5, 7.5, 1.5, 5.5, 11.5]);
        near(spearman(&settings[0], &figure).unwrap(), 0.2797202797202798);
        near(spearman(&settings[1], &figure).unwrap(), -0.7632937721594372);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
    }

    /// `X`, `Y`: columns of `stats.rankdata`, less their mean, by their norm. `beta = np.linalg.lstsq(X, Y)[0]`,
    /// `h = stats.t.ppf(.975, df) * np.sqrt(np.diag(rss / df * np.linalg.inv(X.T @ X)))`
    #[test]
    fn the_plane_through_ranks_is_that_of_least_squares() {
        let (settings, figure) = twelve();
        let found = sensitivity(&settings, &figure).unwrap();
        let wanted = [
            (0.6010519696778159, 0.39520249577094135, 0.8069014435846905),
            (-0.9632165089104813, -1.163021242880088, -0.7634117749408748),
            (0.10618405023581357, -0.0891063554759274, 0.3014744559475545),
        ];
        for ((coefficient, interval), (mean, low, high)) in found.coefficients.iter().zip(wanted) {
            near(*coefficient, mean);
            near(interval.unwrap().low, low);
            near(interval.unwrap().high, high);
        }
        near(found.r_squared, 0.9544496334648381);
    }

    #[test]
    fn what_moves_together_is_not_told_apart() {
        let (settings, figure) = twelve();
        assert_eq!(sensitivity(&[settings[0].clone(), settings[0].clone()], &figure), None);
        assert_eq!(sensitivity(&[vec![1.0; 12]], &figure), None);
        assert_eq!(sensitivity(&settings, &figure[..3]), None);
    }
}
