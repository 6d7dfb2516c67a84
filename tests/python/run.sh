#!/usr/bin/env bash
# The Python package's tests: runs, sweeps and statistics beside the command line, NumPy and SciPy, the example notebook, and a sweep on a
# local Ray cluster.
#
#   tests/python/run.sh [pytest's arguments]    installs the package as a researcher would: pip builds it
#   LABMAN_BIN=DIR tests/python/run.sh          takes labman-sim and the library from DIR, where the workspace was built
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
built=${LABMAN_BIN:+yes}
binaries labman-sim
environment "${LABMAN_PYTHON_VENV:-$root/target/python-venv}" "$root/python/tests/requirements.txt"
workplace python
if [ -n "$built" ]; then
    cp -r "$root/python/labman_sim" "$work/"
    cp "$LABMAN_BIN/lib_native.so" "$work/labman_sim/_native.abi3.so"
    export PYTHONPATH=$work
else
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$root/python"
fi
export LABMAN_BIN RAY_USAGE_STATS_ENABLED=0
"$venv/bin/pytest" "$root/python/tests" -q -p no:cacheprovider "$@"
