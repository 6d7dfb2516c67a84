#!/usr/bin/env bash
# Real daemons under load are killed (SIGKILL) at moments drawn from a seed, started again, and judged from their databases
# alone, round after round. Last line: `N passed, N failed`.
#
#   tests/crash/run.sh --rounds 5 --seed 1          builds the release binaries first
#   LABMAN_BIN=DIR tests/crash/run.sh ...           takes the binaries from DIR instead
#   KEEP=DIR tests/crash/run.sh ...                 leaves stores, configs and logs in DIR
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-node labman-cli
workplace crash
# check.py ends what it starts; its last line is this script's.
python3 "$here/check.py" --bin "$LABMAN_BIN" --work "$work" "$@"
