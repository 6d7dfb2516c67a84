# What scripts that run real daemons have in common. To be sourced; sets `root`, and by its functions `LABMAN_BIN`, `work`, `venv`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# The daemons: from LABMAN_BIN, or built, of these packages.
binaries() {
    [ -z "${LABMAN_BIN:-}" ] || return 0
    echo "building $* (release)" >&2
    (cd "$root" && cargo build --release --quiet $(printf -- '-p %s ' "$@"))
    LABMAN_BIN=${CARGO_TARGET_DIR:-$root/target}/release
}

# A place to work in: KEEP, which stays, or one that goes when the script ends.
workplace() {
    if [ -n "${KEEP:-}" ]; then
        mkdir -p "$KEEP"
        work=$KEEP
    else
        work=$(mktemp -d "${TMPDIR:-/tmp}/labman-$1-XXXXXX")
        trap 'rm -rf "$work"' EXIT
    fi
}

# A Python environment at $1 with the packages of $2: one for all runs of the same requirements.
environment() {
    venv=$1
    cmp -s "$2" "$venv/installed.txt" && return
    echo "installing $(head -1 "$2") and what it needs into $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$2"
    cp "$2" "$venv/installed.txt"
}
