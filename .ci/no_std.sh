#!/usr/bin/env bash
# Proves that proto-core needs no standard library, by linking it where there is none.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The lock of the workspace, so that the same versions are proven that are shipped.
cp "$root/Cargo.lock" "$root/.ci/no_std/Cargo.lock"
cargo build --quiet --manifest-path "$root/.ci/no_std/Cargo.toml" --target-dir "${CARGO_TARGET_DIR:-$root/target}/no_std"
echo "proto-core links without std"
