"""The queue of scenarios/research/queue-erlang.toml in SimPy: Poisson arrivals, exponential service, ten servers, first come first served.

    queue_simpy.py JOBS SEED        one JSON object: events, the mean time in system in service times, CPU seconds
"""

import json
import random
import sys
import time

import simpy

SERVERS, LOAD, SERVICE_S = 10, 0.9, 0.2


def main():
    jobs, seed = int(sys.argv[1]), int(sys.argv[2])
    draws = random.Random(seed)
    env = simpy.Environment()
    servers = simpy.Resource(env, capacity=SERVERS)
    sojourns = []

    def job():
        came = env.now
        with servers.request() as turn:
            yield turn
            yield env.timeout(draws.expovariate(1 / SERVICE_S))
        sojourns.append(env.now - came)

    def crowd():
        for _ in range(jobs):
            yield env.timeout(draws.expovariate(SERVERS * LOAD / SERVICE_S))
            env.process(job())

    env.process(crowd())
    began, events = time.process_time(), 0
    while env.peek() != simpy.core.Infinity:
        env.step()
        events += 1
    spent = time.process_time() - began
    print(json.dumps({"events": events, "sojourn": sum(sojourns) / jobs / SERVICE_S, "cpu_s": spent}))


if __name__ == "__main__":
    main()
