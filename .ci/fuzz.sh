#!/usr/bin/env bash
# Fuzzes every target of fuzz/ for a while, beginning with the corpus in git. What is new stays in target/fuzz.
#
#   .ci/fuzz.sh [SECONDS [TARGET...]]      10 seconds a target; the last line is "N passed, N failed"
#
# A failure prints the file that shows it: put it into fuzz/corpus/TARGET, and `cargo test -p labman-fuzz-bodies` fails
# until it is mended.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-10}
shift || true
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "$seconds is no number of seconds; write one from 1" >&2; exit 2; }
out=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
version=0.13.2

rustup run nightly cargo --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
if [[ $(cargo fuzz --version 2>/dev/null) != "cargo-fuzz $version" ]]; then
    cargo install cargo-fuzz --version "$version" --locked --quiet
fi
# The lock of the workspace, so that the same versions are fuzzed that are shipped.
cp Cargo.lock fuzz/Cargo.lock
cargo +nightly fuzz build --target-dir "$out" >"$out.log" 2>&1 || { tail -n 40 "$out.log"; exit 1; }
binaries=$out/x86_64-unknown-linux-gnu/release
[[ -d $binaries ]] || binaries=$(dirname "$(ls "$out"/*/release/cbor)")

known=$(cargo +nightly fuzz list)
passed=0 failed=0
for target in ${*:-$known}; do
    grep -qx "$target" <<<"$known" || { echo "there is no target $target; there are: ${known//$'\n'/ }" >&2; exit 2; }
    found=$out/corpus/$target log=$out/$target.log
    mkdir -p "$found" "$out/artifacts"
    # No input may cost more than ten seconds, 16 MiB in one piece, or half a gigabyte (of which the instruments take most).
    if "$binaries/$target" -max_total_time="$seconds" -timeout=10 -malloc_limit_mb=16 -rss_limit_mb=512 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$out/artifacts/$target-" "$found" "fuzz/corpus/$target" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
        printf '%-16s %10s inputs, %6s edges\n' "$target" "$runs" "$edges"
        passed=$((passed + 1))
    else
        printf '%-16s FAILED\n' "$target"
        grep -aE 'panicked|ERROR|Test unit written|^thread' -A2 "$log" | head -n 20
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
((failed == 0))
