"""Runs the benchmark of `run.sh` and prints its tables."""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SCENARIOS = HERE.parents[1] / "scenarios" / "research"
ROUNDS = 3


class Spent:
    """Wall and CPU time of one command, and what it printed."""

    def __init__(self, *command):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.wall = time.monotonic() - began
        self.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.said = done.stdout
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


def sweep(sim, work, runs, jobs):
    out = work / f"sweep-{runs}-{jobs}"
    return Spent(sim, "sweep", HERE / "hundred.toml", "--seeds", runs, "--jobs", jobs, "--out", out)


def sweeps(sim, work, runs):
    cores = len(os.sched_getaffinity(0))
    some = max(runs // 10, 2 * cores)
    one, all_cores = sweep(sim, work, some, 1), sweep(sim, work, some, cores)
    scaling = one.wall / all_cores.wall / cores
    print(f"{some} runs of 100 nodes for an hour, one at a time    {one.wall:7.1f} s")
    print(f"the same on {cores} cores                                {all_cores.wall:7.1f} s, {scaling:.2f} of {cores} times as fast")
    whole = sweep(sim, work, runs, cores)
    print(f"{runs} runs on {cores} cores                              {whole.wall / 60:7.1f} min, {whole.cpu / runs:.2f} s of CPU each")


def queue(sim):
    ours, theirs = [], []
    for seed in range(1, ROUNDS + 1):
        spent = Spent(sim, "run", SCENARIOS / "queue-erlang.toml", "--seed", seed, "--json")
        report = json.loads(spent.said)
        ours.append((report["events"], spent.cpu, report["jobs"]["completed"]))
        jobs = report["jobs"]["completed"]
        report = json.loads(Spent(sys.executable, HERE / "queue_simpy.py", jobs, seed).said)
        theirs.append((report["events"], report["cpu_s"], jobs))
    print("\nqueue-erlang, one run          events   events/s   events a job      jobs/s")
    for name, rows in (("labman-sim, whole machines", ours), ("SimPy, the queue alone", theirs)):
        events, cpu, jobs = (statistics.median(column) for column in zip(*rows))
        print(f"{name:<28}{events:9.0f}{events / cpu:11.0f}{events / jobs:15.1f}{jobs / cpu:12.0f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sim", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=1000)
    args = parser.parse_args()
    sweeps(args.sim, args.work, args.runs)
    queue(args.sim)


if __name__ == "__main__":
    main()
