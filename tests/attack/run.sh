#!/usr/bin/env bash
# A gateway's public endpoint, attacked over raw sockets while honest users ask: slow heads, slow bodies, silence, oversize, two
# lengths, garbage, two thousand connections, clients that do not read. The honest are served as before, and memory stays
# bounded. Last line: `N passed, N failed`.
#
#   tests/attack/run.sh                     builds the release binaries first; ten seconds of each attack
#   LABMAN_BIN=DIR tests/attack/run.sh      takes the daemons from DIR instead
#   tests/attack/run.sh --seconds 30
#   KEEP=DIR tests/attack/run.sh            leaves configs and logs in DIR
#
# hostile_peers.sh beside it attacks the mesh's side.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-node labman-cli
workplace attack
python3 "$here/gateway.py" --bin "$LABMAN_BIN" --work "$work" "$@"
