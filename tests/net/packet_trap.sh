#!/usr/bin/env bash
# A real node hears of a hundred gateways at addresses that nobody should call, and of some at public ones. In a network
# namespace of its own, where every packet is seen, it calls these and none of those. Root; installs `ip` where it is missing.
#
#   LABMAN_BIN=target/release tests/net/packet_trap.sh     default: builds it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! command -v ip > /dev/null; then
    apt-get update -qq && apt-get install -y -qq iproute2
fi
if [ -z "${LABMAN_BIN:-}" ]; then
    cargo build --release --workspace
fi
# Not a part of what is installed.
cargo build --release --quiet -p labman-io-tokio --example hostile
space="labman-trap-$$"
work=$(mktemp -d)
trap 'ip netns del "$space" 2> /dev/null || true; rm -rf "$work"' EXIT
ip netns add "$space"
ip -n "$space" link set lo up
ip -n "$space" link add trap0 type veth peer name trap1
ip -n "$space" link set trap1 up
ip -n "$space" link set trap0 up
ip -n "$space" addr add 10.77.0.1/24 dev trap0
ip -n "$space" addr add fd77::1/64 dev trap0 nodad
# A router that is not there: what goes to it is seen.
for router in 10.77.0.254 fd77::fe; do
    ip -n "$space" neigh add "$router" lladdr 02:00:00:00:00:fe dev trap0
    ip -n "$space" route add default via "$router"
done
HOSTILE=${CARGO_TARGET_DIR:-target}/release/examples/hostile WORK=$work ip netns exec "$space" \
    python3 tests/net/packet_trap.py
