#!/usr/bin/env bash
# What research costs: a sweep of many runs, how it scales over cores, and one queue beside SimPy.
#
#   benches/research/run.sh                  1,000 runs of 100 nodes for an hour; half an hour on two cores
#   benches/research/run.sh --runs 100
#   LABMAN_BIN=DIR benches/research/run.sh   takes labman-sim from DIR
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../tests/lib/run.sh"
binaries labman-sim
environment "${LABMAN_SIMPY_VENV:-$root/target/simpy-venv}" "$here/requirements.txt"
workplace research
"$venv/bin/python" "$here/run.py" --sim "$LABMAN_BIN/labman-sim" --work "$work" "$@"
