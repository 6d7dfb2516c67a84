#!/usr/bin/env bash
# Installs the Python package as a researcher would, in an environment of its own, and runs its tests: runs, sweeps and statistics
# beside the command line, NumPy and SciPy, the example notebook, and a sweep on a local Ray cluster.
#
#   tests/python/run.sh [pytest's arguments]
#   LABMAN_BIN=DIR tests/python/run.sh       takes labman-sim from DIR instead of building it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-sim
venv=${LABMAN_PYTHON_VENV:-$root/target/python-venv}
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
# Built in the workspace's own target directory, so that what is built there is not built again.
"$venv/bin/pip" install --quiet --disable-pip-version-check "$root/python[test]"
export LABMAN_BIN RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0 RAY_USAGE_STATS_ENABLED=0
"$venv/bin/pytest" "$root/python/tests" -q "$@"
