#!/usr/bin/env bash
# The official OpenAI Python package against a mesh of its own. Last line: `N passed, N failed`.
#
#   tests/clients/run.sh                     builds the release binaries, starts a demo, checks, stops it
#   LABMAN_BIN=DIR tests/clients/run.sh      takes labmand and labman-fep from DIR instead
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/labman-clients-XXXXXX")
demo=

finish() {
    if [ -n "$demo" ] && kill -0 "$demo" 2>/dev/null; then
        kill -TERM "$demo"
        wait "$demo" || true
    fi
    rm -rf "$work"
}
trap finish EXIT
binaries labman-node
environment "${LABMAN_CLIENTS_VENV:-$root/target/clients-venv}" "$here/requirements.txt"

# Any free port; the demo says which one in its JSON document, once its own request is paid.
"$LABMAN_BIN/labmand" demo --json --gateway-port 0 --data-dir "$work/mesh" >"$work/demo.json" 2>"$work/demo.log" &
demo=$!

status=0
"$venv/bin/python" "$here/check.py" --demo "$work/demo.json" --demo-pid "$demo" \
    --fep-socket "$work/mesh/fep/admin.sock" --labman-fep "$LABMAN_BIN/labman-fep" || status=$?
if [ "$status" -ne 0 ]; then
    echo "--- what the demo said:" >&2
    tail -n 40 "$work/demo.log" >&2
fi
# check.py's last line is this script's.
exit "$status"
