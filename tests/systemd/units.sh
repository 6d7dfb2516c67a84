#!/usr/bin/env bash
# The units in examples/systemd are what systemd understands, and shut off what the daemons do not need. Installs `systemd` for
# its analyzer where that is missing; none has to run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! command -v systemd-analyze > /dev/null; then
    apt-get update -qq && apt-get install -y -qq systemd
fi
# From 0 (nothing is open) to 10, in tenths.
most=20
for unit in examples/systemd/*.service; do
    systemd-analyze security --offline=true --threshold="$most" --no-pager "$unit" | tail -1
done
