#!/usr/bin/env bash
# Proves that the simulator's checkers can fail: each deliberate defect of the core must be noticed within 500 seeds.
# Prints one JSON document, and what escaped to stderr.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
RUSTFLAGS='--cfg labman_mutants' cargo run --quiet --release --target-dir target/mutants -p labman-sim -- mutants --json "$@"
