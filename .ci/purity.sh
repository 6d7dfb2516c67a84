#!/usr/bin/env bash
# No ambient clock, randomness, socket, file or hash order in the core's code: comments and test modules apart.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
exec python3 "$root/.ci/purity.py" "$root/proto-core/src"
