#!/usr/bin/env bash
# Takes into fuzz/corpus the smallest files found so far (target/fuzz) that reach what it does not, at most 40 a target.
#
#   .ci/fuzz_corpus.sh [TARGET...]         after .ci/fuzz.sh; what is in git stays
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
binaries=$(dirname "$(ls "$out"/*/release/cbor)")
most=40
for target in ${*:-$(cargo +nightly fuzz list)}; do
    kept=fuzz/corpus/$target merged=$out/merged/$target
    rm -rf "$merged" && mkdir -p "$merged"
    "$binaries/$target" -merge=1 -set_cover_merge=1 -max_len=4096 "$merged" "$kept" "$out/corpus/$target" \
        >"$out/$target.merge.log" 2>&1
    have=$(find "$kept" -type f | wc -l)
    for file in $(ls -Sr "$merged"); do
        ((have < most)) || break
        # Files that a fuzzer found are named by what is in them, the seeds are not.
        if ! grep -qx "$file" <<<"$(cd "$kept" && sha1sum ./* | cut -d' ' -f1)"; then
            cp "$merged/$file" "$kept/$file"
            have=$((have + 1))
        fi
    done
    printf '%-16s %3s files, %s bytes\n' "$target" "$have" "$(du -sb "$kept" | cut -f1)"
done
