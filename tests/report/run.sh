#!/usr/bin/env bash
# Small sweeps' reports, and those of docs/, in headless Chromium: no error on the console, no request to anybody, readable on every screen.
# Last line: `N passed, N failed`.
#
#   tests/report/run.sh                    builds the release binary first; needs chromium (apt-get install chromium)
#   LABMAN_BIN=DIR tests/report/run.sh     takes labman-sim from DIR instead
#   KEEP=DIR                               leaves results, pages and pictures there
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-sim
environment "${LABMAN_REPORT_VENV:-$root/target/report-venv}" "$here/requirements.txt"

workplace report
sim=$LABMAN_BIN/labman-sim
cd "$work"
# Of one point, by one setting, by two.
"$sim" sweep "$root/scenarios/first-light.toml" --seeds 5 --out alone
"$sim" sweep "$root/scenarios/first-light.toml" --seeds 5 --grid fep.fees.fep_bps=0,100,500 --out fees
"$sim" sweep "$root/scenarios/first-light.toml" --seeds 3 --grid fep.fees.fep_bps=0,500 \
    --grid provider.0.portman.0.token_every=10ms,20ms,40ms --out map
"$venv/bin/python" "$here/check.py" --sim "$sim" --work pages alone fees map "$root"/docs/*.html
