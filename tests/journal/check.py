#!/usr/bin/env python3
"""A mesh of real processes with journals: asked, hurt, stopped, and replayed. Each check is a sentence."""

import argparse
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

REQUESTS, AT_ONCE = 100, 8
# What a loaded machine may need for what takes a fraction of a second.
PATIENCE_S = 60


class Daemon:
    """A process, and what its log says."""

    def __init__(self, work, name, *command):
        self.command, self.log_path = command, work / f"{name}.log"
        self.start()

    def start(self):
        # Each start is watched from where its own lines begin.
        self.log = open(self.log_path, "ab")
        self.from_byte = self.log_path.stat().st_size
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, env={"RUST_LOG": "info"})

    def says(self, pattern):
        """The group of the first line that matches."""

        def look():
            text = self.log_path.read_bytes()[self.from_byte :].decode(errors="replace")
            found = re.search(pattern, text)
            if not found and self.process.poll() is not None:
                raise RuntimeError(f"{self.command} has ended:\n{text}")
            return found and found.group(1)

        return eventually(f"{self.log_path.name} saying {pattern!r}", look)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=PATIENCE_S)
        self.log.close()


def eventually(what, look):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise TimeoutError(what)


class Mesh:
    """A FEP, a gateway, and two providers: one with its Portman inside, one with a Portman of its own."""

    def __init__(self, binaries, work):
        self.bin, self.work, self.daemons = binaries, work, {}
        self.journals = {}
        fep_config = self.init("labman-fep", "fep", "--listen", "127.0.0.1:0")
        fep = self.daemon("fep", "labman-fep", fep_config)
        fep_id, fep_url = fep.says(r"labman-fep is up: fep (\S+)"), fep.says(r"nodes call it at (\S+)")
        at_fep = ("--fep-id", fep_id, "--fep-url", fep_url)

        gateway_config = self.init(
            "labmand", "gateway", "--gateway", *at_fep,
            "--mesh-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
        )  # fmt: skip
        gateway = self.daemon("gateway", "labmand", gateway_config)
        gateway_id, mesh = gateway.says(r"labmand is up: node (\S+)"), gateway.says(r"mesh on (\S+)")
        self.api = gateway.says(r"OpenAI API on http://([^/\s]+)")

        self.operator = (self.path("labman-fep"), "--json", "--config", fep_config)
        self.ask_operator("gateway", "add", gateway_id)
        self.ask_operator("user", "add", "alice")
        self.ask_operator("deposit", "alice", "5")
        self.key = self.ask_operator("key", "add", "alice")["api_key"]

        for name in ("provider-1", "provider-2"):
            toy = Daemon(work, f"{name}-toy", self.path("labmand"), "toy", "--listen", "127.0.0.1:0")
            self.daemons[f"{name}-toy"] = toy
            runtime = toy.says(r"is at (\S+)")
            config = self.init(
                "labmand", name, "--provider", *at_fep, "--gateway-id", gateway_id, "--gateway-addr", mesh,
                "--tenant", name, "--runtime-url", runtime, "--portman-listen", "127.0.0.1:0",
            )  # fmt: skip
            if name == "provider-2":
                self.portman_apart(config, runtime)
            else:
                self.daemon(name, "labmand", config)
                self.journals[f"{name}-portman"] = work / f"{name}.journal.portman-1"

        tenants = {"provider-1", "provider-2"}
        eventually("both providers being listed", lambda: tenants <= {m.split(":")[0] for m in self.models()})

    def portman_apart(self, config, runtime):
        toml = config.read_text()
        token = re.search(r'^token = "([^"]+)"', toml, re.M).group(1)
        # Its labman must not run one itself.
        toml, inside = re.subn(r"^embedded = true.*$", "embedded = false", toml, flags=re.M)
        toml, runtimes = re.subn(r"^runtime = .*$", "", toml, flags=re.M)
        assert (inside, runtimes) == (1, 1), toml
        config.write_text(toml)
        url = self.daemon("provider-2", "labmand", config).says(r"Portmans attach at (\S+)")
        own = self.init("portman", "portman-2", "--token", token, "--labman-url", url, "--runtime-url", runtime)
        self.daemon("portman-2", "portman", own)

    def path(self, program):
        return self.bin / program

    def init(self, program, name, *options):
        config = self.work / f"{name}.toml"
        data = () if program == "portman" else ("--data-dir", f"{name}-data")
        subprocess.run(
            [self.path(program), "init", "--out", config, *data, *options], check=True, stdout=subprocess.DEVNULL
        )
        # Each provider has room for all that is asked at once, so that none is lost for being busy.
        config.write_text(re.sub(r"slots = \d+", f"slots = {AT_ONCE}", config.read_text()))
        return config

    def daemon(self, name, program, config):
        self.journals[name] = self.work / f"{name}.journal"
        command = (self.path(program), "--config", config, "--journal", self.journals[name])
        self.daemons[name] = Daemon(self.work, name, *command)
        return self.daemons[name]

    def ask_operator(self, *command):
        done = subprocess.run([*self.operator, *command], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.api, timeout=PATIENCE_S)
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def models(self):
        return [model["id"] for model in json.loads(self.call("GET", "/v1/models")[1])["data"]]

    def chat(self, number):
        """One streamed completion of any provider: whether it came whole."""
        messages = [{"role": "user", "content": f"Tell me about lantern {number}."}]
        body = {"model": "labman-toy", "stream": True, "max_tokens": 24, "seed": number, "messages": messages}
        status, text = self.call("POST", "/v1/chat/completions", body)
        return status == 200 and text.rstrip().endswith("data: [DONE]") and '"error"' not in text

    def end(self):
        for name in ("portman-2", "provider-1", "provider-2", "gateway", "fep", "provider-1-toy", "provider-2-toy"):
            daemon = self.daemons.get(name)
            if daemon and daemon.process.poll() is None:
                daemon.end()


def run_the_day(mesh):
    """A hundred requests; after forty a provider is killed, after seventy it is back on the same journal."""
    lock, done = threading.Lock(), []
    victim = mesh.daemons["provider-1"]

    def one(number):
        whole = mesh.chat(number)
        with lock:
            done.append(whole)
            if len(done) == 40:
                victim.end(signal.SIGKILL)
            if len(done) == 70:
                victim.start()
        return whole

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(one, range(REQUESTS)))
    victim.says(r"labmand is up: node (\S+)")
    mesh.end()
    return answers


def replay(mesh, journal, *options):
    done = subprocess.run(
        [mesh.path("labman-sim"), "replay", journal, "--json", *options], capture_output=True, text=True
    )
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def checks_of(mesh, answers):
    def served():
        lost = answers.count(False)
        print(f"      {lost} lost")
        assert len(answers) == REQUESTS and lost <= AT_ONCE, f"{lost} of {len(answers)} were lost"

    yield f"of {REQUESTS} requests no more are lost than were under way when a provider was killed", served

    for name, journal in mesh.journals.items():
        killed = name.startswith("provider-1")

        def replays(name=name, journal=journal, killed=killed):
            code, document, errors = replay(mesh, journal)
            assert code == 0 and document["identical"], f"{code}: {document} {errors}"
            assert document["end"] == "closed", document
            assert len(document["processes"]) == (2 if killed else 1), document
            assert all(life["expected"] == life["got"] and life["inputs"] for life in document["lives"]), document
            inputs = sum(life["inputs"] for life in document["lives"])
            print(f"      {name}: {document['records']} records, {len(document['lives'])} lives, {inputs} inputs")

        yield f"{name}'s journal replays to the same outputs", replays

        def is_private(journal=journal):
            assert journal.stat().st_mode & 0o777 == 0o600, oct(journal.stat().st_mode)
            for key_file in mesh.work.glob("*/node.key"):
                secret = key_file.read_text().strip()
                written = journal.read_bytes()
                assert secret.encode() not in written and bytes.fromhex(secret) not in written, key_file

        yield f"{name}'s journal is its owner's alone and holds no signing key", is_private

    def shows():
        code, document, _ = replay(mesh, mesh.journals["gateway"], "--until", "1.5s", "--state")
        assert code == 0 and document["end"] == "stopped", document
        assert document["lives"][0]["lasted_ms"] <= 1500, document
        assert document["state"]["status"]["up"] is True, document
        assert document["state"]["status"]["uptime_ms"] in (1499, 1500), document

    yield "a replay stops at the time that was asked for and shows the gateway as it was", shows

    def refuses():
        journal = bytearray(mesh.journals["fep"].read_bytes())
        at = journal.index(b'"name":"alice"')
        journal[at + 8] ^= 1
        altered = mesh.work / "altered.journal"
        altered.write_bytes(journal)
        code, document, _ = replay(mesh, altered)
        assert code == 1 and document["end"] == "refused" and document["divergence"]["record"] > 0, document

    yield "an altered byte is refused, with its record", refuses

    def cut():
        journal = mesh.journals["provider-2"].read_bytes()
        short = mesh.work / "short.journal"
        short.write_bytes(journal[: len(journal) * 2 // 3])
        code, document, _ = replay(mesh, short)
        assert code == 0 and document["end"] == "open" and document["records"] > 10, document

    yield "a journal that is cut off replays up to the cut", cut


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    args = parser.parse_args()
    passed = failed = 0
    mesh = Mesh.__new__(Mesh)
    mesh.daemons = {}
    try:
        mesh.__init__(args.bin.resolve(), args.work.resolve())
        answers = run_the_day(mesh)
        for sentence, check in checks_of(mesh, answers):
            try:
                check()
                passed += 1
                print(f"ok    {sentence}")
            except Exception:
                failed += 1
                print(f"FAIL  {sentence}")
                traceback.print_exc(file=sys.stdout)
    except Exception:
        failed += 1
        traceback.print_exc(file=sys.stdout)
    finally:
        for daemon in mesh.daemons.values():
            if daemon.process.poll() is None:
                daemon.process.kill()
                daemon.process.wait()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
