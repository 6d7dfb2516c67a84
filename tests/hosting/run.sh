#!/usr/bin/env bash
# A provider whose runtime has room for one of its two models: it loads what users ask for, lets what it has begun come to its end
# first, and says why. Real daemons, a minute. Last line: `N passed, N failed`.
#
#   tests/hosting/run.sh                    builds the release binaries first
#   LABMAN_BIN=DIR tests/hosting/run.sh     takes the binaries from DIR instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-node labman-cli

workplace hosting
python3 "$here/check.py" --bin "$LABMAN_BIN" --work "$work"
