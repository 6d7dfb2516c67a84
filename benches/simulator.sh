#!/usr/bin/env bash
# How fast the simulator is, beside iroh-gossip's own simulator: a table at the end, and what it means under it.
#
#   benches/simulator.sh           needs Rust, Python 3, valgrind; ten minutes, most of them building at the first run
#
#   LABMAN_BENCH_ROUNDS=N          how often each thing is timed; default 3
#   LABMAN_BENCH_LTO=1             builds both sides with link-time optimisation, which neither has by default
#   LABMAN_BENCH_LONG=1            counts instructions for every row; without it those that take minutes are left out
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
peer=$target/peer
if [ -n "${LABMAN_BENCH_LTO:-}" ]; then
    export CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
    target=$target/lto
    peer=$target/peer
fi

cargo build --quiet --release -p labman-sim --examples --target-dir "$target"
if [ ! -x "$peer/bin/sim" ]; then
    cargo install --quiet iroh-gossip --version 0.101.0 --locked --no-default-features --features simulator \
        --bin sim --root "$peer" --target-dir "$peer/build"
fi
exec python3 benches/simulator.py "$target/release/examples" "$peer/bin/sim"
