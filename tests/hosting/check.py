#!/usr/bin/env python3
"""What a real daemon keeps in memory, by what users of a real gateway ask for. Each check is a sentence."""

import argparse
import json
import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from checks import work_through  # noqa: E402
from mesh import Mesh, eventually  # noqa: E402

# A provider that has started listens for half a minute before it decides anything; a job that lasts a minute is under way then.
TURN_S = 120
# Their names are of one family, and the toy's usual one is of another.
ONE, OTHER = "lantern:one", "lantern:other"


def with_shelf(toml):
    toml = toml.replace("\n[provider]\n", '\n[provider]\nhosting = { epoch = "3s", horizon = "1h", loads = 1 }\n', 1)
    tables = "".join(f'[portman.models."{model}"]\nmemory = "4 GiB"\nload = "1s"\n' for model in (ONE, OTHER))
    # The tables of the one [[portman]] are the last of the file.
    return toml.replace("\n[[portman]]\n", '\n[[portman]]\nmemory = "6 GiB"\n', 1) + "\n" + tables


class OneShelf(Mesh):
    def start(self):
        super().start()
        models = ("--model", ONE, "--model", OTHER, "--room", "1", "--load-takes", "1s", "--token-every", "50ms")
        self.serve("shelf", *models, edited=with_shelf)
        eventually("the first model", lambda: self.hosted() == {ONE})

    def hosted(self):
        mine = (model for model in self.models() if model.startswith("shelf:"))
        return {model.split(":", 2)[2] for model in mine}

    def ask(self, model, tokens=2, **patience):
        body = {
            "model": model, "max_tokens": tokens, "min_tokens": tokens,
            "messages": [{"role": "user", "content": "Lanterns?"}],
        }  # fmt: skip
        return self.call("POST", "/v1/chat/completions", body, **patience)

    def plan(self):
        endpoint = json.loads(self.ask_node("shelf", "--json", "plan"))["endpoints"][0]
        return {line["model"]: line for line in endpoint["models"]}


def checks_of(mesh):
    def misses():
        def told():
            status, said = mesh.ask(OTHER)
            return status, json.loads(said)["error"]["code"]

        # A gateway that has just begun has not heard of all that is served.
        eventually("that nobody serves it", lambda: told() == (404, "model_not_found"))
        assert mesh.ask(ONE)[0] == 200

    yield "what is on the shelf is not served", misses

    def drains():
        answers = []
        long = threading.Thread(target=lambda: answers.append(mesh.ask(ONE, tokens=1200, within_s=TURN_S)))
        long.start()
        eventually("its job", lambda: mesh.daemons["shelf"].said().count("running on shelf:") >= 2)
        for _ in range(20):
            mesh.ask(OTHER)
        eventually(mesh.plan, lambda: mesh.plan().get(ONE, {}).get("state") == "draining", TURN_S)
        assert not answers, "it was to be longer"
        eventually(mesh.plan, lambda: mesh.hosted() == set())
        eventually(mesh.plan, lambda: mesh.hosted() == {OTHER}, TURN_S)
        long.join()
        status, said = answers[0]
        assert status == 200 and json.loads(said)["usage"]["completion_tokens"] == 1200, said

    yield "what was begun comes to its end before its model makes room for what users ask for", drains

    def follows():
        status, said = mesh.ask(OTHER)
        assert status == 200, said
        status, said = mesh.ask(ONE)
        # It was served a moment ago, and may be soon again.
        assert (status, json.loads(said)["error"]["code"]) == (503, "no_provider"), said

    yield "what was asked for in vain is served now", follows

    def explains():
        line = mesh.plan()[OTHER]
        assert (line["state"], line["memory"]) == ("runs", 4 << 30), line
        assert line["wanted_per_hour"] >= 20 and line["worth_per_hour"] > 0, line
        eventually(mesh.plan, lambda: mesh.plan()[OTHER]["verdict"] == "keep")
        page = mesh.ask_node("shelf", "plan")
        for part in ("4.0 of 6.0 GiB in use", OTHER, "keep", "earns/h"):
            assert part in page, page

    yield "the plan says what is kept, what it earns, and what would change that", explains


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    args = parser.parse_args()
    mesh = OneShelf(args.bin.resolve(), args.work.resolve(), slots=4)
    return work_through(mesh, checks_of(mesh), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
