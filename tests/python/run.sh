#!/usr/bin/env bash
# The Python package's tests: its types, by strict mypy; runs, sweeps and statistics beside the command line, NumPy and SciPy; the
# example notebook, and a sweep on a local Ray cluster. The package is a wheel that pip builds and installs, as for a researcher.
#
#   tests/python/run.sh [pytest's arguments]
#   LABMAN_BIN=DIR tests/python/run.sh          takes labman-sim from DIR, which must be of the same sources
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
# Both at once: built alone, labman-sim's dependencies have fewer features, and all of them would be compiled again for the wheel.
binaries labman-sim labman-python
package=$root/python
environment "${LABMAN_PYTHON_VENV:-$root/target/python-venv}" "$package/tests/requirements.txt"
workplace python
export LABMAN_BIN RAY_USAGE_STATS_ENABLED=0 PATH=$venv/bin:$PATH

# In the workspace's target directory, by the maturin of the requirements; what it needs beside that is there already.
pip install --quiet --disable-pip-version-check --no-build-isolation --no-index "$package[ray,polars]"

# Away from the sources, so that what was installed is read.
types() { (cd "$work" && mypy --config-file "$package/pyproject.toml" --cache-dir "$venv/mypy" "$@"); }
types --package labman_sim
types "$package"/tests/typed/*.py
(cd "$work" && stubtest labman_sim._native)

pytest "$package/tests" -q -p no:cacheprovider "$@"
