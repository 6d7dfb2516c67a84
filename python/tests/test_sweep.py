"""A sweep is a data frame, the same whatever ran beside it."""

import numpy
import pandas
import polars
import pyarrow
import pytest

import labman_sim

GRID = {"fep.fees.fep_bps": [0, 500]}


@pytest.fixture
def frame(scenario):
    return labman_sim.sweep(scenario, seeds=3, grid=GRID)


def test_a_row_a_run_in_the_order_of_the_plan(frame):
    assert list(zip(frame["point"], frame["run"], frame["seed"])) == [(p, r, r + 1) for p in (0, 1) for r in range(3)]
    assert list(frame["fep.fees.fep_bps"]) == [0, 0, 0, 500, 500, 500]
    assert frame["passed"].all() and (frame["error"] == "").all()
    assert (frame["build"] == labman_sim.BUILD).all()
    # Common random numbers: the fee changes what is paid, and nothing that happens before.
    base, dear = (frame[frame["point"] == point].reset_index() for point in (0, 1))
    assert (base["jobs.completed"] == dear["jobs.completed"]).all()
    assert (base["money.charged"] < dear["money.charged"]).all()


def test_it_is_the_table_of_the_command_line(frame, scenario, command, tmp_path):
    out = tmp_path / "out"
    command("sweep", scenario, "--seeds", 3, "--grid", "fep.fees.fep_bps=0,500", "--out", out)
    pandas.testing.assert_frame_equal(frame, pandas.read_parquet(out / "runs.parquet"))


def test_the_rows_depend_on_no_number_of_threads(frame, scenario):
    pandas.testing.assert_frame_equal(frame, labman_sim.sweep(scenario, seeds=3, grid=GRID, jobs=1))


def test_arrow_and_polars_read_the_same_rows_in_place(frame, scenario):
    arrow = labman_sim.sweep(scenario, seeds=3, grid=GRID, frame="arrow")
    assert isinstance(arrow, pyarrow.RecordBatch)
    pandas.testing.assert_frame_equal(frame, arrow.to_pandas())
    rows = labman_sim.sweep(scenario, seeds=3, grid=GRID, frame="polars")
    assert isinstance(rows, polars.DataFrame)
    assert rows["events"].to_list() == frame["events"].to_list()


def test_values_taken_together_are_no_grid(scenario):
    frame = labman_sim.sweep(
        scenario, seeds=1, zip={"fep.fees.fep_bps": [0, 100], "fep.fees.gateway_bps": [100, 0]}
    )
    assert list(zip(frame["fep.fees.fep_bps"], frame["fep.fees.gateway_bps"])) == [(0, 100), (100, 0)]


def test_progress_is_told_and_may_end_it(scenario):
    told = []
    labman_sim.sweep(scenario, seeds=4, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (4, 4) and len(told) == 4

    class Enough(Exception):
        pass

    def enough(done, of):
        raise Enough

    with pytest.raises(Enough):
        labman_sim.sweep(scenario, seeds=1000, jobs=1, progress=enough)


def test_what_is_wrong_is_said_before_anything_runs(scenario):
    with pytest.raises(ValueError, match="fep_bps=lots"):
        labman_sim.sweep(scenario, seeds=1_000, grid={"fep.fees.fep_bps": [0, "lots"]})
    with pytest.raises(ValueError, match="frame='csv'"):
        labman_sim.sweep(scenario, seeds=1_000_000, frame="csv")


def test_values_may_be_numpys(scenario):
    frame = labman_sim.sweep(scenario, seeds=1, grid={"fep.fees.fep_bps": numpy.arange(0, 300, 100)})
    assert list(frame["fep.fees.fep_bps"]) == [0, 100, 200]
