#!/usr/bin/env bash
# What others wrote for OpenAI's API, against a mesh that pays for every call and has real llama.cpp servers behind it: OpenAI's
# Python and Node packages, LangChain's and the Vercel AI SDK's providers, schemathesis with OpenAI's own description.
# Last line: `N passed, N failed`.
#
#   tests/clients/run.sh                     builds the release binaries, and llama.cpp where it is not built yet
#   LABMAN_BIN=DIR tests/clients/run.sh      takes labmand and labman-fep from DIR instead
#   tests/clients/run.sh SUITE...            of python, node, openapi
#   EXAMPLES=N                               calls that schemathesis makes up of each kind; 40 where it is not set
#   KEEP=DIR                                 leaves what everybody logged in DIR
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/run.sh"
binaries labman-node
environment "${LABMAN_CLIENTS_VENV:-$root/target/clients-venv}" "$here/python/requirements.txt"
node=$root/target/clients-node
if ! cmp -s "$here/node/package-lock.json" "$node/package-lock.json"; then
    echo "installing the Node packages into $node" >&2
    mkdir -p "$node"
    cp "$here/node/package.json" "$node/"
    cp "$here/node/package-lock.json" "$node/lock.json"
    (cd "$node" && mv lock.json package-lock.json && npm ci --silent --no-audit --no-fund) || { rm -f "$node/package-lock.json"; exit 1; }
fi
"$here/../llama/server.sh" build
workplace clients
"$venv/bin/python" "$here/run.py" --bin "$LABMAN_BIN" --node "$node" --work "$work" "$@"
