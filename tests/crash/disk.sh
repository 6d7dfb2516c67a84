#!/usr/bin/env bash
# A FEP's and a provider's disk fill up, and are read-only: work is refused, nothing is lost, and with space it goes on. The
# disks are small tmpfs in a mount namespace of this test's own. Last line: `N passed, N failed`.
#
#   tests/crash/disk.sh                    builds the release binaries first
#   LABMAN_BIN=DIR tests/crash/disk.sh     takes the binaries from DIR instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ -z "${LABMAN_BIN:-}" ]; then
    echo "building the daemons (release)" >&2
    (cd "$root" && cargo build --release --quiet -p labman-node -p labman-cli)
    LABMAN_BIN=${CARGO_TARGET_DIR:-$root/target}/release
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/labman-disk-XXXXXX")
trap 'rm -rf "$work"' EXIT
# Who is not root is it in a user namespace.
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(--user --map-root-user)
unshare "${as_root[@]}" --mount python3 "$here/disk.py" --bin "$LABMAN_BIN" --work "$work"
