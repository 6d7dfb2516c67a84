#!/usr/bin/env python3
"""Follows the README's "Two hosts by hand", word for word, on two hosts that are network namespaces.

Each host is a shell in its namespace, with a home of its own, that is fed the README's blocks as somebody would paste
them; only HOST_A's address and the API key are put in, as the README asks. Needs root (namespaces) and `ip`. Last line:
`N passed, N failed`.

    LABMAN_BIN=target/release tests/net/two_hosts.sh
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("LABMAN_BIN", ROOT / "target/release")).resolve()
ADDRESS = {"a": "10.77.0.1", "b": "10.77.0.2"}
# What is measured in polls: a daemon's start, a claim's period.
PATIENCE_S = 90

results = []


def check(name, holds, detail=""):
    results.append(bool(holds))
    print(f"{'ok    ' if holds else 'FAILED'} {name}{'' if holds else ': ' + str(detail)[-800:]}")


def blocks():
    """The walkthrough's commands, by what the README says in bold before them."""
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Two hosts by hand"):text.index("### Variations")]
    found, label = {}, None
    for line in section.splitlines():
        if bold := re.match(r"\*\*(.+?)\*\*", line):
            label = bold.group(1)
        if line.startswith("    "):
            found[label] = found.get(label, "") + line[4:] + "\n"
    return found


class Host:
    def __init__(self, name, home):
        self.space = f"labman-{os.getpid()}-{name}"
        self.home = pathlib.Path(home) / name
        self.home.mkdir()
        run("ip", "netns", "add", self.space)
        run("ip", "-n", self.space, "link", "set", "lo", "up")
        env = dict(os.environ, HOME=str(self.home), PATH=f"{BIN}:{os.environ['PATH']}", PS1="")
        self.shell = subprocess.Popen(
            ["ip", "netns", "exec", self.space, "bash", "--norc"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
            start_new_session=True)
        self.asked = 0

    def paste(self, commands):
        """Feeds commands to the shell; what it printed until they were done."""
        self.asked += 1
        mark = f"--- done {self.asked} ---"
        self.shell.stdin.write(f"{commands}\necho; echo '{mark}'\n")
        self.shell.stdin.flush()
        said = []
        for line in self.shell.stdout:
            if line.strip() == mark:
                return "".join(said)
            said.append(line)
        raise SystemExit(f"the shell of {self.space} ended:\n{''.join(said)}")

    def until(self, commands, holds):
        """Pastes until what is printed is as it should be; the last that was."""
        end = time.monotonic() + PATIENCE_S
        while True:
            said = self.paste(commands)
            if holds(said) or time.monotonic() > end:
                return said
            time.sleep(0.5)

    def end(self):
        try:
            os.killpg(self.shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        subprocess.run(["ip", "netns", "del", self.space], check=False)


def run(*command):
    subprocess.run(command, check=True)


def wire(a, b):
    ends = {"a": f"lm{os.getpid() % 100000}a", "b": f"lm{os.getpid() % 100000}b"}
    run("ip", "link", "add", ends["a"], "netns", a.space, "type", "veth", "peer", "name", ends["b"], "netns", b.space)
    for name, host in (("a", a), ("b", b)):
        run("ip", "-n", host.space, "addr", "add", f"{ADDRESS[name]}/24", "dev", ends[name])
        run("ip", "-n", host.space, "link", "set", ends[name], "up")


def walk(a, b):
    says = blocks()
    directory = [line for line in says["On both hosts"].splitlines() if line.startswith("mkdir")][0]
    for host in (a, b):
        host.paste(directory)
    a.paste(says["Host A: the portal."].replace("192.0.2.1", ADDRESS["a"]))
    a.paste(says["Host A: the gateway"])
    said = a.paste(says["Host A: a user"])
    export = re.search(r"On host B: +(export .+)", said)
    key = re.search(r"sk-labman-\S+", said)
    check("the walkthrough on A ends with a key, and a line for B", export and key, said)
    if not (export and key):
        return
    status = b.paste(export.group(1) + "\n" + says["Host B: the provider."])
    if "admitted" not in status:
        status = b.until("labman-cli status --config labman.toml", lambda said: "admitted" in said)
    check("B's status shows a link to A and its Portman's model",
          "admitted" in status and "labman-toy" in status, status)
    a.until("curl -s http://127.0.0.1:8080/v1/models; echo", lambda said: "host-b:local:labman-toy" in said)
    said = a.paste(says["Host A: ask."].replace("sk-labman-...", key.group(0)))
    check("A's request is served by B, as a stream to its end",
          said.count("data: {") > 5 and "data: [DONE]" in said and "error" not in said, said)
    receipts = says["Host B: what it earned."]
    said = b.until(receipts, lambda said: "host-b:local:labman-toy" in said or "unclaimed" in said)
    check("B has the receipt", "unclaimed" in said or "paid" in said, said)
    said = b.until(receipts, lambda said: re.search(r"\bpaid\b", said))
    check("the receipt is paid", re.search(r"\bpaid\b", said), said)
    said = a.paste(says["Host A: the ledger."])
    check("A's ledger balances", "balanced" in said and "not balanced" not in said, said)


def main():
    if os.geteuid() != 0:
        print("needs root, for network namespaces", file=sys.stderr)
        return 2
    hosts = []
    with tempfile.TemporaryDirectory(prefix="labman-two-hosts-") as home:
        try:
            for name in ("a", "b"):
                hosts.append(Host(name, home))
            wire(*hosts)
            walk(*hosts)
        finally:
            for host in hosts:
                host.end()
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if results and all(results) else 1


sys.exit(main())
