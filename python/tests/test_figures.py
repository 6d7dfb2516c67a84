"""What a run says of itself is what NumPy says of the run's own rows."""

import numpy
import pandas
import pytest

import labman_sim
from conftest import ROOT

FEES = ROOT / "scenarios/market/fees.toml"
# Nobody pays that much: a provider without work is one of those among whom incomes are uneven.
TOO_DEAR = {"provider.2.portman.0.price.output_per_mtok": "101"}
# It may earn what it will, and is not counted; jobs may fail by it.
CHEAT = {"provider.1.strategy": "lying-provider", "expect.0.op": ">="}


@pytest.fixture(scope="module", params=[7, 8, 9])
def run(request):
    return labman_sim.run(FEES, seed=request.param, overrides={"measure_from": "5m"})


@pytest.fixture
def measured(run):
    """The jobs that figures of time are of."""
    jobs = run.jobs()
    completed = jobs[(jobs["http_status"] == 200) & jobs["finish_reason"].notna() & jobs["error_code"].isna()]
    measured = completed[completed["asked_at_us"] >= 5 * 60 * 1e6]
    assert 100 < len(measured) < len(completed) == run.figures["jobs.completed"] < len(jobs)
    return measured


@pytest.mark.parametrize(
    "figure, column, percent, unit_us",
    [
        ("ttft.p50_ms", "ttft_us", 50, 1_000),
        ("ttft.p95_ms", "ttft_us", 95, 1_000),
        ("ttft.p99_us", "ttft_us", 99, 1),
        ("sojourn.p99_us", "took_us", 99, 1),
    ],
)
def test_a_percentile_is_numpys_by_nearest_rank(run, measured, figure, column, percent, unit_us):
    nearest = numpy.percentile(measured[column], percent, method="inverted_cdf")
    assert run.figures[figure] == nearest // unit_us


@pytest.mark.parametrize("figure, column", [("ttft", "ttft_us"), ("sojourn", "took_us")])
def test_a_mean_is_numpys_rounded_down(run, measured, figure, column):
    assert run.figures[f"{figure}.count"] == measured[column].count()
    assert run.figures[f"{figure}.mean_us"] == numpy.floor(measured[column].mean())


@pytest.mark.parametrize("overrides", [{}, TOO_DEAR, CHEAT], ids=["three", "one without work", "one dishonest"])
def test_ginis_coefficient_of_incomes_is_numpys(command, tmp_path, overrides):
    sets = [part for path, value in overrides.items() for part in ("--set", f"{path}={value}")]
    command("sweep", FEES, "--seeds", 2, "--grid", "fep.fees.fep_bps=0,500", *sets, "--out", tmp_path / "out")
    runs, providers = (pandas.read_parquet(tmp_path / "out" / name) for name in ("runs.parquet", "providers.parquet"))
    assert len(runs) == 4 and len(providers) == 12
    for (point, number), rows in providers.groupby(["point", "run"]):
        row = runs[(runs["point"] == point) & (runs["run"] == number)].iloc[0]
        assert rows["jobs"].sum() == row["jobs.completed"] and rows["earned"].sum() == row["money.earned"]
        if overrides == CHEAT:
            assert rows.set_index("provider").loc["middle", "earned"] > 0
            rows = rows[rows["provider"] != "middle"]
        earned = rows["earned"].to_numpy()
        apart = numpy.abs(earned[:, None] - earned[None, :])
        # In whole numbers, so that what is rounded down is exact.
        assert row["income.gini_ppm"] == 1_000_000 * apart.sum() // (2 * len(earned) * earned.sum()) > 0
        assert labman_sim.gini(earned) * 1e6 == pytest.approx(row["income.gini_ppm"], abs=1)
