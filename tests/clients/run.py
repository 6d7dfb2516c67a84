#!/usr/bin/env python3
"""Runtimes, a mesh on top of them, and the suites one after another."""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from mesh import Daemon  # noqa: E402

KINDS = ("text", "tools", "embed", "endless", "raw")


class Stack:
    """A llama.cpp server of each kind, and a demo whose two providers have a Portman at each."""

    def __init__(self, args):
        self.bin, self.work, self.started = pathlib.Path(args.bin), pathlib.Path(args.work), []

    def start(self):
        shutil.rmtree(self.work / "mesh", ignore_errors=True)
        server = HERE.parent / "llama" / "server.sh"
        llamas = {kind: self.daemon(f"llama-{kind}", server, "0", kind) for kind in KINDS}
        urls = {kind: llama.says(r"listening on (http://\S+)") for kind, llama in llamas.items()}
        runtimes = [word for url in urls.values() for word in ("--runtime-url", f"{url}/v1")]
        demo = self.daemon(
            "demo", self.bin / "labmand", "demo", "--json", "--gateway-port", "0", "--data-dir", self.work / "mesh",
            "--runtime-key", "sk-test", *runtimes,
        )  # fmt: skip
        self.environment = dict(
            os.environ,
            OPENAI_BASE_URL=demo.says(r'"openai_base_url": "([^"]+)"'),
            OPENAI_API_KEY=demo.says(r'"openai_api_key": "([^"]+)"'),
            LABMAN_POOR_KEY=self.penniless(),
            LLAMA_ENDLESS=urls["endless"],
        )

    def daemon(self, name, *command):
        daemon = Daemon(self.work, name, *command)
        self.started.append(daemon)
        return daemon

    def penniless(self):
        admin = [self.bin / "labman-fep", "--json", "--socket", self.work / "mesh" / "fep" / "admin.sock"]
        subprocess.run([*admin, "user", "add", "penniless"], check=True, stdout=subprocess.DEVNULL)
        key = subprocess.run([*admin, "key", "add", "penniless"], check=True, capture_output=True, text=True)
        return json.loads(key.stdout)["api_key"]

    def end(self):
        for daemon in reversed(self.started):
            try:
                if daemon.is_up():
                    daemon.end(signal.SIGTERM)
            except subprocess.TimeoutExpired:
                daemon.end(signal.SIGKILL)


def run(command, environment, **how):
    """Shows what it prints, and gives it."""
    done = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)
    said = []
    for line in done.stdout:
        said.append(line)
        print(line, end="", flush=True)
    return done.wait(), "".join(said)


def found(pattern, said):
    return sum(int(number) for number in re.findall(pattern, said, re.M))


def python(stack, _):
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / "python"]
    status, said = run(suite, stack.environment)
    # An error is a test that could not begin.
    failed = found(r"(\d+) failed", said) + found(r"(\d+) errors?\b", said)
    return found(r"(\d+) passed", said), failed or int(status != 0)


def node(stack, args):
    # Beside their packages.
    tests = sorted((HERE / "node").glob("*.mjs"))
    for test in tests:
        shutil.copy(test, args.node)
    names = [test.name for test in tests if test.name.endswith(".test.mjs")]
    status, said = run(["node", "--test", "--test-reporter=spec", *names], stack.environment, cwd=args.node)
    return found(r"^ℹ pass (\d+)", said), found(r"^ℹ fail (\d+)", said) or int(status != 0)


def openapi(stack, args):
    environment = dict(stack.environment, SCHEMATHESIS_HOOKS="hooks", PYTHONPATH=str(HERE / "openapi"))
    key = environment["OPENAI_API_KEY"]
    status, _ = run(
        [
            pathlib.Path(sys.executable).parent / "st", "run", HERE / "openapi" / "openai.json",
            "--url", environment["OPENAI_BASE_URL"], "--header", f"Authorization: Bearer {key}",
            "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
            "--max-examples", os.environ.get("EXAMPLES", "40"), "--seed", "1", "--no-color", "--request-timeout", "60",
        ],  # fmt: skip
        environment,
        cwd=args.work,
    )
    return int(status == 0), int(status != 0)


SUITES = {"python": python, "node": node, "openapi": openapi}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], help="all where none is named")
    args = parser.parse_args()
    stack, passed, failed = Stack(args), 0, 0
    try:
        stack.start()
        for name in args.suites or SUITES:
            print(f"--- {name}", flush=True)
            counts = SUITES[name](stack, args)
            # A suite of which nothing passed was none.
            passed, failed = passed + counts[0], failed + (counts[1] or int(counts[0] == 0))
    except Exception as error:
        print(error)
        failed += 1
    finally:
        stack.end()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
