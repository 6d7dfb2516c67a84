#!/usr/bin/env python3
"""Gateways in front of one fake runtime, each measured in turn, several rounds: CPU time by the processes' own accounting."""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "lib"))
from mesh import Daemon, Mesh, eventually  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
# (name, connections, streams)
LOADS = (("c=1", 1, False), ("c=32", 32, False), ("c=256", 256, False), ("streams", 64, True))


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def family(pid):
    """A process and those that it started."""
    threads = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for thread in threads for child in thread.read_text().split()]
    return [pid, *(one for child in children for one in family(int(child)))]


def rss_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(port, path="/v1/models"):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-bench\r\nconnection: close\r\n\r\n".encode())
            return connection.recv(100).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


class Contestant:
    """At `port`; what its processes take counts, by the part that each is."""

    model, key = "fake", "sk-bench"

    def __init__(self, bench, name):
        self.bench, self.name, self.port, self.daemons = bench, name, free_port(), []

    def daemon(self, *command):
        self.daemons.append(Daemon(self.bench.work, f"{self.name}-{len(self.daemons)}", *map(str, command)))
        eventually(f"{self.name} answering", lambda: answers(self.port))

    def parts(self):
        return {"gateway": [pid for daemon in self.daemons for pid in family(daemon.process.pid)]}

    def end(self):
        for daemon in reversed(self.daemons):
            daemon.end()


class Direct(Contestant):
    def start(self):
        self.port = self.bench.upstream

    def parts(self):
        return {"gateway": []}


class Proxy(Contestant):
    def start(self):
        self.daemon(self.bench.tool, "proxy", f"127.0.0.1:{self.port}", f"127.0.0.1:{self.bench.upstream}")


class Haproxy(Contestant):
    def start(self):
        config = self.bench.work / "haproxy.cfg"
        config.write_text(f"""
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{self.port}
    default_backend back
backend back
    server upstream 127.0.0.1:{self.bench.upstream}
""")
        self.daemon(shutil.which("haproxy"), "-f", config)


class VllmRouter(Contestant):
    def start(self):
        self.daemon(
            self.bench.peers / "vllm-router", "--host", "127.0.0.1", "--port", self.port, "--policy", "round_robin",
            "--worker-urls", f"http://127.0.0.1:{self.bench.upstream}", "--prometheus-port", free_port(),
        )  # fmt: skip


class LiteLlm(Contestant):
    def start(self):
        config = self.bench.work / "litellm.yaml"
        config.write_text(f"""
model_list:
  - model_name: fake
    litellm_params: {{ model: openai/fake, api_base: "http://127.0.0.1:{self.bench.upstream}/v1", api_key: sk-x }}
""")
        os.environ.update(LITELLM_MASTER_KEY="sk-bench", LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION")
        self.daemon(self.bench.peers / "litellm", "--config", config, "--host", "127.0.0.1", "--port", self.port, "--num_workers", "1")  # fmt: skip


class Ours(Contestant):
    """The whole paid mesh: a FEP, a gateway, a provider with its Portman inside."""

    both = False

    def start(self):
        work = self.bench.work / self.name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        self.mesh = PaidMesh(self.bench.bin, work, f"http://127.0.0.1:{self.bench.upstream}/v1", self.both)
        self.mesh.start()
        self.port, self.key = int(self.mesh.api.rsplit(":", 1)[1]), self.mesh.key

    def parts(self):
        return {name: [self.mesh.daemons[name].process.pid] for name in self.mesh.daemons}

    def end(self):
        self.mesh.end()


class Unpaid(Contestant):
    """One node that serves its own Portman's runtime, without keys and for nothing: what the others here do."""

    def start(self):
        work = self.bench.work / self.name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        upstream = f"http://127.0.0.1:{self.bench.upstream}/v1"
        options = ("--http-listen", f"127.0.0.1:{self.port}", "--runtime-url", upstream, "--portman-listen", "127.0.0.1:0")
        subprocess.run([self.bench.bin / "labmand", "init", "--unpaid", "--out", "node.toml", *options], cwd=work, check=True, capture_output=True)  # fmt: skip
        config = (work / "node.toml").read_text().replace("slots = 4", "slots = 1024")
        (work / "node.toml").write_text(config.replace("[gateway]", "[gateway]\nconnections_per_address = 1000"))
        self.daemon(self.bench.bin / "labmand", "--config", work / "node.toml")
        eventually("the model being listed", lambda: "fake" in self.models())

    def models(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/models", timeout=5) as answer:
            return [model["id"] for model in json.load(answer)["data"]]


class OneNode(Ours):
    """The same with one node that is gateway and provider: no QUIC."""

    both = True


class PaidMesh(Mesh):
    def __init__(self, binaries, work, runtime, both):
        super().__init__(binaries, work, slots=1024, deposit="1000000")
        self.runtime, self.both = runtime, both

    def start(self):
        fep = self.daemon("fep", "labman-fep", self.init("labman-fep", "fep", "--listen", "127.0.0.1:0"))
        fep_id, fep_url = fep.says(r"labman-fep is up: fep (\S+)"), fep.says(r"nodes call it at (\S+)")
        self.at_fep = ("--fep-id", fep_id, "--fep-url", fep_url)
        config = self.init("labmand", "gateway", "--gateway", *self.at_fep, "--mesh-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")  # fmt: skip
        limits = 'connections_per_address = 1000\nkey_limits = { requests_per_minute = 4000000000, tokens_per_minute = 1000000000000 }'
        config.write_text(config.read_text().replace("[gateway]", f"[gateway]\n{limits}"))
        if self.both:
            provider = self.provider_config("as-provider", "--gateway-id", fep_id, "--gateway-addr", "127.0.0.1:9")
            config.write_text(config.read_text() + provider[provider.index("[provider]") :])
        gateway = self.daemon("gateway", "labmand", config)
        node = gateway.says(r"labmand is up: node (\S+)")
        self.api = gateway.says(r"OpenAI API on http://([^/\s]+)")
        self.operator = (self.path("labman-fep"), "--json", "--config", self.configs["fep"])
        self.ask_operator("gateway", "add", node, "--bond", "1000")
        self.key = self.user("bench")
        if not self.both:
            self.provider_config("provider", "--gateway-id", node, "--gateway-addr", gateway.says(r"mesh on (\S+)"))
            self.daemon("provider", "labmand", self.configs["provider"])
        eventually("the model being listed", lambda: "fake" in self.models())

    def provider_config(self, name, *options):
        config = self.init("labmand", name, "--provider", *self.at_fep, *options, "--tenant", "bench", "--runtime-url", self.runtime, "--portman-listen", "127.0.0.1:0")  # fmt: skip
        config.write_text(config.read_text().replace("[provider]", '[provider]\nexposure = "1000000"'))
        return config.read_text()


CONTESTANTS = {
    "direct": Direct, "haproxy": Haproxy, "proxy": Proxy, "vllm-router": VllmRouter, "litellm": LiteLlm,
    "unpaid": Unpaid, "one node": OneNode, "mesh": Ours,
}  # fmt: skip


class Bench:
    def __init__(self, args):
        self.bin, self.work, self.peers = (pathlib.Path(path).resolve() for path in (args.bin, args.work, args.peers))
        self.tool, self.seconds, self.rounds = self.bin / "labman-bench-gateway", args.seconds, args.rounds
        self.upstream = free_port()
        self.rows = {}

    def run(self, names):
        runtime = Daemon(self.work, "upstream", str(self.tool), "upstream", f"127.0.0.1:{self.upstream}")
        try:
            eventually("the upstream", lambda: answers(self.upstream))
            for number in range(self.rounds):
                for name in names:
                    print(f"\rround {number + 1} of {self.rounds}: {name:12}", end="", file=sys.stderr, flush=True)
                    self.measure(name)
        finally:
            print(file=sys.stderr)
            runtime.end()

    def measure(self, name):
        contestant = CONTESTANTS[name](self, name.replace(" ", "-"))
        try:
            contestant.start()
            self.load(contestant, 8, False, 1.0)
            for load, connections, stream in LOADS:
                before = {part: sum(map(cpu_s, pids)) for part, pids in contestant.parts().items()}
                heard = self.load(contestant, connections, stream, max(self.seconds, 4.0) if stream else self.seconds)
                parts = contestant.parts()
                heard["cpu_s"] = {part: sum(map(cpu_s, pids)) - before[part] for part, pids in parts.items()}
                heard["rss_mib"] = {part: sum(map(rss_mib, pids)) for part, pids in parts.items()}
                self.rows.setdefault(name, {}).setdefault(load, []).append(heard)
        except (TimeoutError, RuntimeError, OSError, TypeError, ValueError, subprocess.SubprocessError) as error:
            print(f"\n{name} is left out: {error}", file=sys.stderr)
            self.rows.pop(name, None)
        finally:
            contestant.end()

    def load(self, contestant, connections, stream, seconds):
        command = [self.tool, "load", f"127.0.0.1:{contestant.port}", "--model", contestant.model, "--key", contestant.key, "--connections", str(connections), "--seconds", str(seconds)]  # fmt: skip
        done = subprocess.run([*command, *(["--stream"] if stream else [])], capture_output=True, text=True, timeout=seconds + 120)  # fmt: skip
        return json.loads(done.stdout)


def median(rows, of):
    return statistics.median(of(row) for row in rows)


def each_us(rows, count, parts=None):
    """Of the parts that are named, or of all."""

    def one(row):
        taken = sum(cpu for part, cpu in row["cpu_s"].items() if parts is None or part in parts)
        return taken / max(row[count], 1) * 1e6

    return median(rows, one)


def report(rows):
    line = "{:12} {:>9} {:>9} {:>8} {:>8} {:>8} {:>9} {:>8} {:>8} {:>9} {:>9} {:>6} {:>6}"
    print(line.format("", "us/req", "us/chunk", "c=1 /s", "c=32 /s", "c=256 /s", "p50 c=1", "p99 c=1", "p99 c=32", "TTFT p50", "gap p99", "MiB", "cut"))  # fmt: skip
    for name, loads in rows.items():
        rate = lambda load: median(loads[load], lambda row: row["answers"] / row["seconds"])  # noqa: E731
        ms = lambda load, of: f"{median(loads[load], lambda row: row[of]) / 1000:.2f}"  # noqa: E731
        main = ["gateway"]
        whole = loads["c=32"]
        wrong = sum(row["cut"] + row["failed"] for load in loads.values() for row in load)
        print(line.format(
            name, f"{each_us(whole, 'answers', main):.0f}", f"{each_us(loads['streams'], 'chunks', main):.1f}",
            f"{rate('c=1'):.0f}", f"{rate('c=32'):.0f}", f"{rate('c=256'):.0f}", ms("c=1", "p50_us"), ms("c=1", "p99_us"),
            ms("c=32", "p99_us"), ms("streams", "p50_us"), ms("streams", "gap_p99_us"),
            f"{median(whole, lambda row: sum(row['rss_mib'].get(part, 0) for part in main)):.0f}", wrong,
        ))  # fmt: skip
        parts = whole[0]["cpu_s"]
        if len(parts) > 1:
            told = "  ".join(f"{part} {each_us(whole, 'answers', [part]):.0f} and {each_us(loads['streams'], 'chunks', [part]):.1f}" for part in parts)  # fmt: skip
            print(f"{'':12} us a request and a chunk, by process: {told}")
        for why in {row["why"] for load in loads.values() for row in load if row["why"]}:
            print(f"{'':12} failed: {why[:150]}")
    print("us/req at c=32; times in ms; a chunk is one of 64 tokens at 20 ms, of 64 streams; cut: answers that were not whole")
    ratios(rows)


def ratios(rows):
    of = lambda name, load, count, parts=("gateway",): each_us(rows[name][load], count, list(parts))  # noqa: E731
    if "mesh" not in rows:
        return
    mine = of("mesh", "c=32", "answers")
    nodes = of("mesh", "streams", "chunks", ("gateway", "provider"))
    told = []
    if "unpaid" in rows and "vllm-router" in rows:
        answers = [of(name, "c=32", "answers") for name in ("unpaid", "vllm-router")]
        rss = [median(rows[name]["c=32"], lambda row: row["rss_mib"]["gateway"]) for name in ("unpaid", "vllm-router")]
        told.append(("unpaid, CPU a request to vllm-router's", answers[0] / answers[1], 1.0))
        told.append(("unpaid, memory to vllm-router's", rss[0] / rss[1], 0.5))
    if "litellm" in rows:
        told.append(("mesh, gateway process, CPU a request to LiteLLM's", mine / of("litellm", "c=32", "answers"), 1 / 30))
    if "proxy" in rows:
        # TensorZero took 230 us where the minimal proxy took 27 us, on a machine like this one.
        told.append(("the same to TensorZero's (as 8.5 times the minimal proxy's)", mine / (8.5 * of("proxy", "c=32", "answers")), 2.0))
        told.append(("mesh, both nodes, CPU a chunk to the minimal proxy's", nodes / of("proxy", "streams", "chunks"), 4.0))
    for what, ratio, goal in told:
        print(f"{what}: {ratio:.3f} (goal {goal:.3f}){'' if ratio <= goal else '  MISSED'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", help="names, with commas between them")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(CONTESTANTS)
    if unknown := [name for name in names if name not in CONTESTANTS]:
        parser.error(f"there is no {unknown[0]}; there are: {', '.join(CONTESTANTS)}")
    bench = Bench(args)
    bench.run(names)
    if args.json:
        print(json.dumps(bench.rows, indent=1))
    else:
        report(bench.rows)


if __name__ == "__main__":
    main()
