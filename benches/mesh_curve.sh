#!/usr/bin/env bash
# What the mesh costs a node, by how many nodes there are: a table.
#
#   benches/mesh_curve.sh          needs Rust and Python 3, and 8 GB of memory for the last row
#
#   LABMAN_BENCH_NODES="N N ..."   other sizes than 100 to 20,000
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --release -p labman-sim
exec python3 benches/mesh_curve.py "$target/release/labman-sim" \
    ${LABMAN_BENCH_NODES:-100 300 1000 3000 10000 20000}
