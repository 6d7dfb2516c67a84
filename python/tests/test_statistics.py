"""What labman-sim says of rows is what NumPy and SciPy say of the same rows."""

import numpy
import pytest
from scipy import stats

import labman_sim

PACE = "provider.0.portman.0.token_every"


@pytest.fixture(scope="module")
def rows():
    from conftest import ROOT

    scenario = ROOT / "scenarios/conformance/one-provider.toml"
    return labman_sim.sweep(scenario, seeds=12, grid={PACE: ["10ms", "20ms"]})


@pytest.mark.parametrize("figure", ["sojourn.mean_us", "ttft.p95_ms", "events", "sojourn.p99_us"])
def test_means_and_intervals_are_scipys(rows, figure):
    values = rows[figure].to_numpy(float)
    found = labman_sim.estimate(values)
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


def test_paired_differences_are_scipys(rows):
    pairs = rows.pivot(index="seed", columns=PACE, values="sojourn.mean_us")
    found = labman_sim.difference(pairs["10ms"], pairs["20ms"])
    theirs = stats.ttest_rel(pairs["20ms"], pairs["10ms"])
    interval = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize("q", [0.0, 0.05, 0.25, 0.5, 0.95, 1.0])
def test_quantiles_are_numpys(rows, q):
    values = rows["sojourn.mean_us"].to_numpy(float)
    assert labman_sim.quantile(values, q) == pytest.approx(numpy.quantile(values, q), rel=1e-12)


def test_gini_is_the_mean_difference_of_two_over_twice_the_mean(rows):
    values = rows["sojourn.mean_us"].to_numpy(float)
    differences = numpy.abs(values[:, None] - values[None, :]).mean()
    assert labman_sim.gini(values) == pytest.approx(differences / (2 * values.mean()), rel=1e-9)
    assert labman_sim.gini([1, 1, 1]) == 0 and labman_sim.gini([0, 0, 0, 8]) == pytest.approx(0.75)


def test_of_nothing_there_is_nothing_to_say():
    for ask in (lambda: labman_sim.estimate([]), lambda: labman_sim.quantile([], 0.5), lambda: labman_sim.gini([])):
        with pytest.raises(ValueError, match="no values"):
            ask()
