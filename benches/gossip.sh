#!/usr/bin/env bash
# How records spread, beside iroh-gossip in its own simulator: a table, and what it means under it.
#
#   benches/gossip.sh              needs Rust and Python 3; a few minutes, most of them building at the first run
#
#   LABMAN_BENCH_NODES=N           how many hear of it; default 1000
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
nodes=${LABMAN_BENCH_NODES:-1000}
cargo build --quiet --release -p labman-sim
cargo build --quiet --release --manifest-path benches/gossip/Cargo.toml --target-dir "$target/peer/gossip"

ours=$("$target/release/labman-sim" run benches/gossip/ours.toml --set "gateway.0.count=$nodes" --json)
peer=$("$target/peer/gossip/release/gossip-bench" "$nodes" 20)
exec python3 benches/gossip.py "$nodes" "$ours" "$peer"
