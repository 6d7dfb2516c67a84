#!/usr/bin/env bash
# Three providers of different price and speed behind one gateway: a request's hints change who serves it, the best one is killed
# before its first token and the client does not notice, and `labman-cli explain` tells why. Real daemons, half a minute. Last
# line: `N passed, N failed`.
#
#   tests/routing/run.sh                    builds the release binaries first
#   LABMAN_BIN=DIR tests/routing/run.sh     takes the binaries from DIR instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-node labman-cli

workplace routing
python3 "$here/check.py" --bin "$LABMAN_BIN" --work "$work"
