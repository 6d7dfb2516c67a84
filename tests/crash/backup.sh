#!/usr/bin/env bash
# A provider is restored from a backup that has not seen its last payout: it claims again, its FEP refuses, and the two operators
# settle it. Real daemons, a minute. Last line: `N passed, N failed`.
#
#   tests/crash/backup.sh                    builds the release binaries first
#   LABMAN_BIN=DIR tests/crash/backup.sh     takes the binaries from DIR instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-node labman-cli

workplace backup
python3 "$here/backup.py" --bin "$LABMAN_BIN" --work "$work"
