#!/usr/bin/env bash
# What a request and a chunk cost at a gateway, beside the gateways that people use: a table, and the ratios under it.
#
#   benches/gateway/run.sh                 every contestant, three rounds one after the other; 15 minutes
#   benches/gateway/run.sh --rounds 1 --seconds 3
#   benches/gateway/run.sh --only proxy,mesh
#
# Peers come from Debian (haproxy) and the Python package index (vllm-router, LiteLLM); one that can't be installed is left out.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../tests/lib/run.sh"
target=${CARGO_TARGET_DIR:-$root/target}
(cd "$root" && cargo build --release --quiet -p labman-node -p labman-cli -p labman-bench-gateway)
peers=$target/bench-gateway-peers
[ -x "$peers/bin/pip" ] || python3 -m venv "$peers"
for peer in vllm-router==0.1.17 'litellm[proxy]==1.108.7'; do
    "$peers/bin/pip" install --quiet --disable-pip-version-check "$peer" || echo "can't install $peer" >&2
done
command -v haproxy >/dev/null || apt-get install -y -qq haproxy >/dev/null || echo "no haproxy" >&2
workplace bench
python3 "$here/run.py" --bin "$target/release" --peers "$peers/bin" --work "$work" "$@"
