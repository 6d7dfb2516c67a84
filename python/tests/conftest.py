import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scenario():
    """A small one: a provider, some users, a minute."""
    return ROOT / "scenarios/conformance/one-provider.toml"


@pytest.fixture
def command():
    """`labman-sim` of the same build, from LABMAN_BIN."""
    program = Path(os.environ.get("LABMAN_BIN", ROOT / "target/release")) / "labman-sim"

    def run(*arguments):
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=True)
        return done.stdout

    return run
