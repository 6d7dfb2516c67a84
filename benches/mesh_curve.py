"""Runs scenarios/mesh/convergence-10k.toml at several sizes and prints a row for each.

A tenth are gateways, at least 21, of one of 19 families each; all of them hear of a 20th family, too, and that is watched.

Bytes are by node and second of the virtual minutes 3 to 7, frames with their signatures, without QUIC's own. Nobody signs
anew for 15 minutes, so records are of what changed. CPU time is the process's own, and so is memory, at its peak.
"""

import json
import os
import subprocess
import sys

SIM, *SIZES = sys.argv[1:]
FAMILIES = 19
# Of the family that is watched.
WATCHED = 20
HEAD = ["nodes", "membership", "repair", "deaths", "records", "99.9 %, ms", "links", "redundancy", "events", "CPU, s", "KB/node"]


def run(nodes):
    gateways = max(nodes // 10, FAMILIES + 2)
    settings = ["--set", "mesh.from=3m", "--set", "gateway.0.dials=1"]
    for role, many in ("gateway", gateways), ("provider", nodes - gateways - WATCHED):
        for family in range(FAMILIES):
            count = many // FAMILIES + (family < many % FAMILIES)
            settings += ["--set", f"{role}.{family}.count={count}"]
    command = [SIM, "run", "scenarios/mesh/convergence-10k.toml", "--json", *settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        report = json.loads(process.stdout.readline())
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if report["failures"]:
        print(f"{nodes} nodes: {'; '.join(report['failures'])}", file=sys.stderr)
    return report, usage


def row(nodes):
    report, usage = run(nodes)
    mesh = report["mesh"]
    if mesh is None:
        return [f"{nodes:,}", *["-"] * (len(HEAD) - 1)]
    cost = lambda what: mesh["cost"].get(what, {}).get("bytes_per_node_second", 0)
    most = lambda what: max(one[what] for one in mesh["spread"])
    copies, receivers = (sum(one[what] for one in mesh["spread"]) for what in ("copies", "receivers"))
    return [
        f"{nodes:,}",
        *(f"{cost(what):.1f}" for what in ("membership", "repair", "deaths", "capability_records")),
        f"{most('reached_999_ms'):,}",
        str(most("last_hop")),
        f"{copies / receivers - 1:.3f}",
        f"{report['events']:,}",
        f"{usage.ru_utime + usage.ru_stime:,.0f}",
        f"{usage.ru_maxrss / nodes:,.0f}",
    ]


rows = [HEAD]
for nodes in map(int, SIZES):
    rows.append(row(nodes))
    print(*rows[-1], flush=True)
widths = [max(map(len, column)) for column in zip(*rows)]
print()
for line in rows:
    print("|", " | ".join(cell.rjust(width) for cell, width in zip(line, widths)), "|")
