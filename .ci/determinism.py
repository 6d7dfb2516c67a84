#!/usr/bin/env python3
"""determinism.py LABMAN_SIM SCENARIO SEED...: the same seed in two processes gives one hash, other seeds give others."""

import json
import subprocess
import sys


def trace_hash(sim, scenario, seed):
    done = subprocess.run([sim, "run", scenario, "--seed", seed, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"seed {seed} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)["trace_hash"]


def main():
    sim, scenario, *seeds = sys.argv[1:]
    hashes = {}
    for seed in seeds:
        first, second = trace_hash(sim, scenario, seed), trace_hash(sim, scenario, seed)
        print(f"seed {seed}: {first}")
        if first != second:
            sys.exit(f"seed {seed} gave {first} and then {second}")
        if first in hashes:
            sys.exit(f"seeds {hashes[first]} and {seed} gave the same trace")
        hashes[first] = seed


if __name__ == "__main__":
    main()
