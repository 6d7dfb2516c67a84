#!/usr/bin/env bash
# A deliberate defect's failure shrinks to a handful of nodes, and the line that is printed with it shows it again.
#
#   .ci/shrink.sh [SEED MUTANT]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seed=${1:-0} mutant=${2:-ack-before-stored}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export RUSTFLAGS='--cfg labman_mutants'
cargo build --quiet --release --target-dir target/mutants -p labman-sim
PATH=$PWD/target/mutants/release:$PATH
cd "$folder"

labman-sim shrink "$seed" --mutant "$mutant" | tee shrunk
nodes=$(sed -n 's/^\([0-9]*\) nodes.*/\1/p' shrunk)
again=$(sed -n 's/^again: //p' shrunk)
if [ "$nodes" -gt 5 ]; then
    echo "failed: $nodes nodes are left, more than 5" >&2
    exit 1
fi
# A run that fails exits with 1; 2 would be a mistake in the line.
code=0
$again > replayed 2>&1 || code=$?
if [ "$code" -ne 1 ] || ! grep -q FAILURE replayed; then
    echo "failed: the line that is to show it again exits with $code: $again" >&2
    exit 1
fi
echo "$mutant: $nodes nodes, and fails again"
