import os
import subprocess
from pathlib import Path

import pytest

import labman_sim

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scenario():
    """A small one: a provider, some users, a minute."""
    return ROOT / "scenarios/conformance/one-provider.toml"


@pytest.fixture(scope="session")
def labman_sim_binary():
    """`labman-sim` from LABMAN_BIN: another build's rows may well be others."""
    program = Path(os.environ.get("LABMAN_BIN", ROOT / "target/release")) / "labman-sim"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert labman_sim.BUILD in version, f"{program} is {version.strip()}, the package {labman_sim.BUILD}: build both anew"
    return program


@pytest.fixture
def command(labman_sim_binary):
    """What it prints."""

    def run(*arguments):
        done = subprocess.run([labman_sim_binary, *map(str, arguments)], capture_output=True, text=True, check=True)
        return done.stdout

    return run


@pytest.fixture
def refused(labman_sim_binary):
    """What it says is wrong."""

    def run(*arguments):
        done = subprocess.run([labman_sim_binary, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        return done.stderr

    return run
