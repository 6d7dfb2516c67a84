#!/usr/bin/env bash
# Real daemons keep journals, one is killed in the middle of 100 requests, and every journal must replay to the same
# outputs. Last line: `N passed, N failed`.
#
#   tests/journal/run.sh                     builds the release binaries first
#   LABMAN_BIN=DIR tests/journal/run.sh      takes the binaries from DIR instead
#   KEEP=DIR tests/journal/run.sh            leaves journals, configs and logs in DIR
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-node labman-sim
workplace journal
# check.py ends what it starts; its last line is this script's.
python3 "$here/check.py" --bin "$LABMAN_BIN" --work "$work"
