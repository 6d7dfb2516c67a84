"""On a cluster come the rows of one process."""

import pandas
import pytest

import labman_sim

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_many_workers_give_the_rows_of_one_process(cluster, scenario, tmp_path):
    import labman_sim.ray

    points = tmp_path / "points.csv"
    points.write_text("provider.0.portman.0.token_every\n1ms\n4ms\n")
    how = {"seeds": 5, "list": points, "latin": {"fep.fees.fep_bps": (0, 500)}, "points": 2, "design_seed": 3}
    spread = labman_sim.ray.sweep(scenario, shards=3, **how)
    pandas.testing.assert_frame_equal(spread, labman_sim.sweep(scenario, **how))


def test_what_is_wrong_is_said_by_the_driver(cluster, scenario):
    import labman_sim.ray

    with pytest.raises(ValueError, match="lots"):
        labman_sim.ray.sweep(scenario, shards=2, seeds=2, grid={"fep.fees.fep_bps": ["lots"]})
    with pytest.raises(TypeError, match="unexpected keyword argument 'jobs'"):
        labman_sim.ray.sweep(scenario, jobs=2)
