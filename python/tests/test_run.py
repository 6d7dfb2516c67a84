"""A run is the simulator's, and says in Python's words what is wrong."""

import json
import subprocess
import threading
import time

import pytest

import labman_sim


def test_a_run_is_the_command_lines(scenario, command):
    ran = labman_sim.run(scenario, seed=7, overrides={"fep.fees.fep_bps": 50})
    told = json.loads(command("run", scenario, "--seed", "7", "--set", "fep.fees.fep_bps=50", "--json"))
    assert ran.passed and ran.failures == []
    assert ran.trace_hash == told["trace_hash"]
    assert ran.report == told
    assert ran.figures["jobs.completed"] == told["jobs"]["completed"] > 0
    assert len(ran.jobs()) == told["jobs"]["total"]


def test_what_is_wrong_names_the_place(scenario, tmp_path):
    with pytest.raises(ValueError, match="fep_pbs: unknown field.*fep_bps"):
        labman_sim.run(scenario, overrides={"fep.fees.fep_pbs": 50})
    with pytest.raises(ValueError, match="nowhere.toml: No such file"):
        labman_sim.run(tmp_path / "nowhere.toml")
    with pytest.raises(ValueError, match="write text, a number, a list or a dict"):
        labman_sim.run(scenario, overrides={"duration": object()})


def test_values_stand_in_a_scenario_as_they_would_be_written(scenario):
    latency = {"mesh": {"uniform": ["5ms", "9ms"]}, "geography": False}
    ran = labman_sim.run(scenario, overrides={"latency": latency, "duration": "5m", "user.0.deposit": "7.50"})
    assert ran.trace_hash != labman_sim.run(scenario, overrides={"duration": "5m"}).trace_hash


def test_other_threads_go_on_while_it_runs(scenario):
    done = threading.Event()
    turns = 0

    def work():
        labman_sim.run(scenario, seed=1)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not done.is_set():
        turns += 1
        time.sleep(0)
    worker.join()
    assert turns > 100


def test_every_figure_of_a_run_is_one_that_there_is(scenario):
    assert set(labman_sim.run(scenario).figures) <= set(labman_sim.figures())
