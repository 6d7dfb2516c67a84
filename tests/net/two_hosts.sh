#!/usr/bin/env bash
# The README's two-host walkthrough, on two network namespaces. Root; installs `ip` (iproute2) where it is missing.
#
#   LABMAN_BIN=target/release tests/net/two_hosts.sh        default: builds it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! command -v ip > /dev/null; then
    apt-get update -qq && apt-get install -y -qq iproute2
fi
if [ -z "${LABMAN_BIN:-}" ]; then
    cargo build --release --workspace
fi
exec python3 tests/net/two_hosts.py
