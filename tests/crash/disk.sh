#!/usr/bin/env bash
# A FEP's and a provider's disk fill up, and are read-only: work is refused, nothing is lost, and with space it goes on. The
# disks are small tmpfs in a mount namespace of this test's own. Last line: `N passed, N failed`.
#
#   tests/crash/disk.sh                    builds the release binaries first
#   LABMAN_BIN=DIR tests/crash/disk.sh     takes the binaries from DIR instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-node labman-cli

workplace disk
# Who is not root is it in a user namespace.
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(--user --map-root-user)
unshare "${as_root[@]}" --mount python3 "$here/disk.py" --bin "$LABMAN_BIN" --work "$work"
