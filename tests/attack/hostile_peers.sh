#!/usr/bin/env bash
# A thousand hostile peers against a real labmand while honest users ask: all are served, and its memory stays bounded.
# Last line: `N passed, N failed`.
#
#   tests/attack/hostile_peers.sh                      builds the release binaries first; a minute of attack
#   LABMAN_BIN=DIR tests/attack/hostile_peers.sh       takes the daemons from DIR instead
#   tests/attack/hostile_peers.sh --seconds 20 --peers 300
#   tests/attack/hostile_peers.sh --unprotected        with every bound raised out of the way: must fail
#   KEEP=DIR tests/attack/hostile_peers.sh             leaves configs and logs in DIR
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
target=${CARGO_TARGET_DIR:-$root/target}
binaries labman-node
# The attacker is no part of what is shipped: it is built here in any case.
(cd "$root" && cargo build --release --quiet -p labman-io-tokio --example hostile)
workplace attack
# attack.py ends what it starts; its last line is this script's.
python3 "$here/attack.py" --bin "$LABMAN_BIN" --hostile "$target/release/examples/hostile" --work "$work" "$@"
