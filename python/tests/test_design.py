"""What a sweep varies is what the command line's options of the same names do, and what is wrong with it is said in the same words."""

import csv

import pandas
import pytest

import labman_sim

FEE = "fep.fees.fep_bps"
PACE = "provider.0.portman.0.token_every"
PRICE = "provider.1.portman.0.price.output_per_mtok"
POINTS = [{FEE: 0, PACE: "2ms"}, {FEE: 50, PACE: "1ms"}, {FEE: 50, PACE: "4ms"}]


@pytest.fixture
def table(tmp_path):
    """The points, as `--list` reads them."""
    path = tmp_path / "points.csv"
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, POINTS[0].keys())
        rows.writeheader()
        rows.writerows(POINTS)
    return path


@pytest.fixture
def swept(scenario, command, tmp_path):
    """The rows of the command line."""

    def run(*options):
        command("sweep", scenario, "--seeds", 2, *options, "--out", tmp_path / "out")
        return pandas.read_parquet(tmp_path / "out/runs.parquet")

    return run


def test_a_latin_hypercube_is_the_command_lines(scenario, swept):
    options = ["--latin", f"{FEE}=0..500", "--latin", f"{PACE}=1ms..90ms", "--latin", f"{PRICE}=1.0..5.25"]
    ranges = {FEE: (0, 500), PACE: ("1ms", "90ms"), PRICE: (1.0, 5.25)}
    frame = labman_sim.sweep(scenario, seeds=2, latin=ranges, points=6, design_seed=3)
    pandas.testing.assert_frame_equal(frame, swept(*options, "--points", 6, "--design-seed", 3))
    # Of each path a value in every sixth of its range.
    parts = frame[FEE].unique() * 6 // 501
    assert sorted(parts) == list(range(6)) and list(parts) != sorted(parts)


def test_it_is_drawn_from_the_same_seed_where_none_is_named(scenario, swept):
    frame = labman_sim.sweep(scenario, seeds=2, latin={FEE: (0, 500)}, points=3)
    pandas.testing.assert_frame_equal(frame, swept("--latin", f"{FEE}=0..500", "--points", 3))
    assert list(frame[FEE]) != list(labman_sim.sweep(scenario, seeds=2, latin={FEE: (0, 500)}, points=3, design_seed=2)[FEE])


def test_a_list_is_the_command_lines_whether_a_file_or_not(scenario, swept, table):
    frame = labman_sim.sweep(scenario, seeds=2, list=table)
    pandas.testing.assert_frame_equal(frame, swept("--list", table))
    pandas.testing.assert_frame_equal(frame, labman_sim.sweep(scenario, seeds=2, list=POINTS))
    again = pandas.read_csv(table).to_dict("records")
    pandas.testing.assert_frame_equal(frame, labman_sim.sweep(scenario, seeds=2, list=again))
    assert list(zip(frame[FEE], frame[PACE]))[::2] == [(0, "2ms"), (50, "1ms"), (50, "4ms")]


def test_settings_are_all_combinations_in_the_command_lines_order(scenario, swept, table):
    frame = labman_sim.sweep(
        scenario,
        seeds=2,
        latin={"fep.fees.gateway_bps": (0, 9)},
        points=2,
        zip={PRICE: ["1", "2"], "user.0.deposit": ["3", "4"]},
        list=POINTS,
        grid={"provider.0.claim_every": ["2s", "4s"]},
    )
    options = ["--grid", "provider.0.claim_every=2s,4s", "--list", table, "--zip", f"{PRICE}=1,2"]
    options += ["--zip", "user.0.deposit=3,4", "--latin", "fep.fees.gateway_bps=0..9", "--points", 2]
    pandas.testing.assert_frame_equal(frame, swept(*options))
    assert len(frame) == 2 * 3 * 2 * 2 * 2


def test_what_is_wrong_is_said_in_the_command_lines_words(scenario, refused, tmp_path):
    few, twice, away = tmp_path / "few.csv", tmp_path / "twice.csv", tmp_path / "away.csv"
    few.write_text(f"{FEE},{PACE}\n0\n")
    twice.write_text(f"{FEE}\n7\n7\n")
    wrong = [
        ({"latin": {FEE: (5, 5)}, "points": 2}, ["--latin", f"{FEE}=5..5", "--points", 2]),
        ({"latin": {FEE: (1, "2s")}, "points": 2}, ["--latin", f"{FEE}=1..2s", "--points", 2]),
        ({"latin": {FEE: (0, 1)}, "points": 3}, ["--latin", f"{FEE}=0..1", "--points", 3]),
        ({"latin": {FEE: (0, 9)}, "points": 2, "grid": {FEE: [1]}}, ["--latin", f"{FEE}=0..9", "--points", 2, "--grid", f"{FEE}=1"]),
        ({"list": few}, ["--list", few]),
        ({"list": away}, ["--list", away]),
        ({"list": twice}, ["--list", twice]),
        ({"zip": {FEE: [1, 2], PACE: ["1ms"]}}, ["--zip", f"{FEE}=1,2", "--zip", f"{PACE}=1ms"]),
    ]
    for design, options in wrong:
        with pytest.raises(ValueError) as error:
            labman_sim.sweep(scenario, seeds=2, **design)
        assert str(error.value) in refused("sweep", scenario, "--seeds", 2, *options)


@pytest.mark.parametrize(
    "design, said",
    [
        ({"latin": {FEE: (0, 9)}}, "latin: points=50 says how many"),
        ({"latin": {FEE: (0, 9)}, "points": 0}, "one at least"),
        ({"points": 9}, "points: of what"),
        ({"latin": {FEE: (0, 5, 9)}, "points": 2}, f"{FEE}: a range has two bounds"),
        ({"list": []}, "list: there is no point"),
        ({"list": [{FEE: 7}, {FEE: 7}]}, f"--list: {FEE}=7 is there twice"),
        ({"list": [{FEE: 0}, {FEE: 1, PACE: "1ms"}]}, f"list: point 1 gives values to {FEE}, {PACE}, the first to {FEE}$"),
    ],
)
def test_what_only_python_can_say_wrong_is_told_with_what_to_write(scenario, design, said):
    with pytest.raises(ValueError, match=said):
        labman_sim.sweep(scenario, seeds=2, **design)


def test_a_misspelt_keyword_is_refused_before_anything_runs(scenario):
    with pytest.raises(TypeError, match="unexpected keyword argument 'design_sed'"):
        labman_sim.sweep(scenario, design_sed=3)
