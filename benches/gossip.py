"""Prints how records spread here and in iroh-gossip, beside each other."""

import json
import math
import statistics
import sys

nodes, ours, peer = int(sys.argv[1]), *map(json.loads, sys.argv[2:])
# What is said while the mesh comes together, and its tree with it, does not count; nor does it there.
WARM_MS = 85_000
spread = [one for one in ours["mesh"]["spread"] if one["at_ms"] >= WARM_MS]
copies, receivers = (sum(one[what] for one in spread) for what in ("copies", "receivers"))


def figures(name, spread, redundancy):
    def both(what):
        values = [one[what] for one in spread if one[what] is not None]
        return f"{statistics.median(values):,.0f} / {max(values):,}"

    times = [both(what) for what in ("reached_999_ms", "reached_all_ms", "last_hop")]
    return [name, len(spread), *times, f"{redundancy:.3f}"]


rows = [
    ["", "records", "99.9 %, ms", "all, ms", "links", "redundancy"],
    figures("labman", spread, copies / receivers - 1),
    figures("iroh-gossip", peer["spread"], peer["redundancy"]),
]
rows = [[str(cell) for cell in row] for row in rows]
widths = [max(map(len, column)) for column in zip(*rows)]
for row in rows:
    print(row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])), sep="  ")

took = [statistics.median(one["reached_all_ms"] for one in of) for of in (spread, peer["spread"])]
print(
    f"\n{nodes:,} nodes that all hear of it; medians / worst. Ours takes {took[0] / took[1]:.2f} of the peer's time; 2 log4 of"
    f"\nthe nodes are {2 * math.log(nodes, 4):.1f} links."
    "\n\nThe same: latencies uniform in 10 to 50 ms, no loss, one record at a time, of twenty others before."
    "\nWhat differs: ours are of providers, which are on no tree, so they have one link more to go; a latency is drawn for"
    "\neach send, the peer's for each pair of nodes. Ours are signed and framed bytes, read and checked; the peer passes"
    "\nstructs and signs nothing. The peer's times begin when a node broadcasts, ours when a provider signs. Links are"
    "\ncounted alike: a neighbour of who says it is at one."
)
