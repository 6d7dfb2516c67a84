"""Runs the simulator's benchmarks and the peer's, and prints them beside each other.

Everything is a difference between a longer and a shorter run of the same thing, so that starting it cancels out. Time is
the process's own CPU time, the median of several rounds in which ours and the peer's take turns. Memory is the
difference between that many nodes and a tenth of them, at the peak of the longer run.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

EXAMPLES, PEER = sys.argv[1:]
ROUNDS = int(os.environ.get("LABMAN_BENCH_ROUNDS", "3"))
LONG = bool(os.environ.get("LABMAN_BENCH_LONG"))


class Workload:
    """One thing to measure. Lengths are the shorter and the longer run; `counted` those under callgrind, if any."""

    def __init__(self, name, nodes, lengths, counted=None):
        self.name, self.nodes, self.lengths = name, nodes, lengths
        self.counted = counted or (lengths if LONG else None)
        self.spent = []

    def measure(self):
        (short_events, short_time, _), (events, spent, self.peak) = (self.run(x) for x in self.lengths)
        self.events = events - short_events
        self.spent.append(spent - short_time)

    def run(self, length, nodes=None):
        command, env = self.command(nodes or self.nodes, length)
        spent, peak, output = watch(command, env)
        return self.events_of(output, nodes or self.nodes, length), spent, peak

    def rate(self):
        return self.events / statistics.median(self.spent)

    def bytes_per_node(self):
        few = self.nodes // 10
        return (self.peak - self.run(self.lengths[1], few)[2]) / (self.nodes - few)

    def instructions(self):
        if self.counted is None:
            return None
        (short_events, _, _), (events, _, _) = (self.run(length) for length in self.counted)
        short, long = (self.instructions_of(length) for length in self.counted)
        return (long - short) / (events - short_events)

    def instructions_of(self, length):
        command, env = self.command(self.nodes, length)
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
        found = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stderr
        return int(re.search(r"Collected : (\d+)", found)[1])


class Ours(Workload):
    def command(self, nodes, length):
        return [f"{EXAMPLES}/{self.name}", str(nodes), str(length)], os.environ

    def events_of(self, output, nodes, length):
        return int(output.split()[1])


class Peer(Workload):
    """Its rounds of broadcasts on its own network; it does not say how many events it had, but can log each."""

    counts = {}

    def command(self, nodes, length, log="off"):
        path = os.path.join(SCRATCH, f"{nodes}-{length}.toml")
        with open(path, "w", encoding="utf-8") as config:
            config.write(
                'seeds = [1]\nconfig.latency.dynamic = { min = "10ms", max = "50ms" }\n'
                f'[[scenario]]\nsim = "GossipSingle"\nnodes = {nodes}\nrounds = {length}\n'
            )
        return [PEER, "run", "-s", "-c", path], {**os.environ, "RUST_LOG": log}

    def events_of(self, output, nodes, length):
        if nodes != self.nodes:
            return None
        if length not in self.counts.setdefault(nodes, {}):
            command, env = self.command(nodes, length, "iroh_gossip::proto::sim=debug")
            with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as logged:
                self.counts[nodes][length] = sum(b"~~ TICK" in line for line in logged.stdout)
        return self.counts[nodes][length]


def watch(command, env):
    """CPU seconds, peak bytes (its own: the kernel's figure would begin with ours), and what it said."""
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        peak = 0
        while True:
            try:
                with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                    peak = max([peak, *(int(kib) for kib in re.findall(r"VmHWM:\s+(\d+)", status.read()))])
            except OSError:
                pass
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.002)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}")
        return usage.ru_utime + usage.ru_stime, peak * 1024, process.stdout.read()


def main():
    rows = [
        Ours("engine_and_codec", 1_000, (20, 420), (20, 60)),
        Ours("engine_and_codec", 10_000, (5, 55), (5, 9)),
        # All nodes are up after a minute, and sign their records anew after another ten.
        Ours("idle_mesh", 1_000, (100, 700), (100, 700)),
        Ours("idle_mesh", 10_000, (100, 700)),
    ]
    peers = {
        1_000: Peer("iroh-gossip sim", 1_000, (5, 65), (5, 15)),
        10_000: Peer("iroh-gossip sim", 10_000, (5, 25)),
    }
    for row in range(ROUNDS):
        for workload in [*rows, *peers.values()]:
            workload.measure()
        print(f"round {row + 1} of {ROUNDS} is done", flush=True)

    head = ["workload", "nodes", "events/s", "peer's", "ratio", "instructions/event", "bytes/node"]
    lines = [head]
    for row in [*rows, *peers.values()]:
        peer = peers[row.nodes].rate()
        count = row.instructions()
        counted = "-" if count is None else f"{count:,.0f}"
        line = [row.name, f"{row.nodes:,}", f"{row.rate():,.0f}", f"{peer:,.0f}", f"{row.rate() / peer:.2f}"]
        lines.append([*line, counted, f"{row.bytes_per_node():,.0f}"])
    widths = [max(map(len, column)) for column in zip(*lines)]
    print()
    for line in lines:
        print(line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:])), sep="  ")
    print(
        "\nAn event: a timer or a frame that did something. engine_and_codec: no machines. idle_mesh: whole nodes, in"
        "\nnetworks of 50 on one engine, because gossip floods every record to every node. Frames carry tags, not"
        "\nsignatures. The peer passes structs, not bytes, and signs nothing.  -: not counted, see LABMAN_BENCH_LONG."
    )


with tempfile.TemporaryDirectory() as SCRATCH:
    main()
