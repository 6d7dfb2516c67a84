#!/usr/bin/env bash
# schemathesis, which makes calls up from an OpenAPI document, against a real FEP: its public API, and its operator's behind a
# bridge from the loopback to the admin socket. No call may end in a server error or in an answer that the document has not.
#
#   tests/fep/schemathesis.sh                     builds the release binaries first
#   LABMAN_BIN=DIR tests/fep/schemathesis.sh      takes labman-fep from DIR instead
#   EXAMPLES=N                                    calls of each kind; 100 where it is not set
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/labman-fep-XXXXXX")
started=()

finish() {
    for pid in "${started[@]}"; do
        kill -TERM "$pid" 2>/dev/null && wait "$pid" || true
    done
    rm -rf "$work"
}
trap finish EXIT
binaries labman-node
fep=$LABMAN_BIN/labman-fep
environment "${LABMAN_SCHEMATHESIS_VENV:-$root/target/schemathesis-venv}" "$here/requirements.txt"

# Waits for a line of a file, and prints what the pattern finds in it.
says() {
    for _ in $(seq 100); do
        sed -n "s|$2|\1|p" "$1" | grep . && return
        sleep 0.1
    done
    echo "nothing in $1 says $2:" >&2
    cat "$1" >&2
    return 1
}

cd "$work"
"$fep" init --listen 127.0.0.1:0 >/dev/null
printf '\n[[rail]]\nname = "mock-fiat"\n\n[[rail]]\nname = "mock-crypto"\nleast_payout = "0.5"\n' >>fep.toml
"$fep" --config fep.toml >fep.log 2>&1 &
started+=($!)
public=$(says fep.log '.*nodes call it at \(http://.*\)')
python3 "$here/bridge.py" "$work/fep-data/admin.sock" >port &
started+=($!)
admin=http://127.0.0.1:$(says port '\(.*\)')

# A user, so that the calls about the first one can succeed.
"$fep" user add ann --config fep.toml >/dev/null
"$fep" deposit ann 1000 --config fep.toml >/dev/null
"$fep" key add ann --config fep.toml >/dev/null

export SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$here
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
for api in "$public" "$admin"; do
    "$venv/bin/st" run "$api/openapi.json" --url "$api" --checks "$checks" --max-examples "${EXAMPLES:-100}" --seed 1 \
        --no-color
done

# Whatever was made up, the books are sound.
"$fep" ledger --json --config fep.toml | grep -q '"balanced": true'
echo "the ledger is balanced"
