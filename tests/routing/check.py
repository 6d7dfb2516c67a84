#!/usr/bin/env python3
"""Whom a gateway of real daemons goes to, and what it says of that. Each check is a sentence."""

import argparse
import http.client
import json
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from checks import work_through  # noqa: E402
from mesh import PATIENCE_S, Mesh, eventually  # noqa: E402

# By tenant: what a million output tokens cost, and what its runtime takes for a token.
SELLERS = {"cheap": ("0.50", "60ms"), "middle": ("2.00", "25ms"), "quick": ("8.00", "5ms")}
# More than one of these reads before it says anything, so that there is time to kill it.
SLOW_START = "3s"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.provider = self.headers.get("x-labman-model", "").split(":")[0]
        self.request_id = self.headers.get("x-request-id")


class ThreeSellers(Mesh):
    """The same FEP and gateway, and three providers that any request may go to."""

    def start(self):
        super().start()
        # Those of the usual mesh sell another model here.
        for name in ("provider-1", "provider-2"):
            self.daemons[name].end()
        for name, (_, token_every) in SELLERS.items():
            self.sell(name, token_every)
        eventually(lambda: f"three sellers: {self.models()}", lambda: set(SELLERS) <= self.tenants())

    def tenants(self):
        return {model.split(":")[0] for model in self.models()}

    def sell(self, name, token_every):
        def priced(toml):
            toml, prices = re.subn(r'output_per_mtok = "2\.00"', f'output_per_mtok = "{SELLERS[name][0]}"', toml, count=1)
            assert prices == 1, toml
            return toml

        self.serve(name, "--token-every", token_every, edited=priced)

    def slow_down(self, name):
        """It takes a while before each answer from now on."""
        daemon, toy = self.daemons[name], self.daemons[f"{name}-toy"]
        at = re.search(r"is at http://([^/\s]+)", toy.said()).group(1)
        daemon.end()
        toy.end()
        toy.command = (self.path("labmand"), "toy", "--listen", at, "--thinks", SLOW_START)
        toy.start()
        toy.says(r"is at (\S+)")
        daemon.start()
        daemon.says(r"labmand is up: node (\S+)")
        eventually(f"{name} again", lambda: name in self.tenants())

    def ask(self, hints=None, tokens=30, stream=True):
        """The answer's head, and a call that reads the rest."""
        body = {
            "model": "labman-toy", "stream": stream, "max_tokens": tokens, "min_tokens": tokens,
            "messages": [{"role": "user", "content": "Lanterns?"}],
        }  # fmt: skip
        if hints:
            body["provider"] = hints
        connection = http.client.HTTPConnection(self.api, timeout=PATIENCE_S)
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        return connection

    def served(self, hints=None, **how):
        response = self.ask(hints, **how).getresponse()
        answer = Answer(response)
        answer.body = response.read().decode()
        return answer

    def explain(self, request_id, *options):
        return self.ask_node("gateway", *options, "explain", request_id)


def checks_of(mesh):
    def hears_all():
        for name in SELLERS:
            answer = mesh.served({"only": [name]})
            assert (answer.status, answer.provider) == (200, name), (name, answer.__dict__)

    yield "each provider serves who names it alone", hears_all

    def sorts():
        for sort, best in (("price", "cheap"), ("throughput", "quick")):
            for _ in range(3):
                answer = mesh.served({"sort": sort})
                assert answer.provider == best, (sort, answer.__dict__)

    yield "sorted by price the cheapest serves, by throughput the quickest", sorts

    def caps():
        # The FEP's and the gateway's fees are in it.
        for most, may in ((1, {"cheap"}), (4, {"cheap", "middle"})):
            got = {mesh.served({"max_price": {"completion": most}}).provider for _ in range(4)}
            assert got <= may, (most, got)
        answer = mesh.served({"max_price": {"completion": 0.1}})
        assert answer.status == 404 and json.loads(answer.body)["error"]["param"] == "provider", answer.body

    yield "nobody who costs more than the request allows serves it", caps

    def wrong():
        answer = mesh.served({"sort": "mood"})
        assert (answer.status, json.loads(answer.body)["error"]["param"]) == (400, "provider.sort"), answer.body

    yield "a hint that is wrong is named", wrong

    def killed():
        # Slow to begin, so that it can be killed before its first token.
        mesh.slow_down("quick")
        connection = mesh.ask({"order": ["quick"]})
        eventually("its job", lambda: "running on quick:" in mesh.daemons["quick"].said())
        mesh.daemons["quick"].end(signal.SIGKILL)
        response = connection.getresponse()
        answer, body = Answer(response), response.read().decode()
        assert answer.status == 200 and answer.provider in ("cheap", "middle"), answer.__dict__
        assert body.rstrip().endswith("data: [DONE]") and "error" not in body, body
        assert answer.headers["x-labman-attempts"] == "2", answer.headers
        mesh.story = answer

    yield "the first choice is killed before its first token, and the client has a whole answer", killed

    def explained():
        told = json.loads(mesh.explain(mesh.story.request_id, "--json"))
        assert told["considered"][0]["slug"].startswith("quick:"), told
        what = [attempt["what"] for attempt in told["attempts"]]
        # A process that is killed says nothing: either its link is known to be dead first, or patience ends.
        lost = what.pop(1)
        assert lost in ("the provider was lost", "the provider fell silent"), lost
        assert what == ["asked", "asked", "first chunk", "served"], what
        for part in ("named by the request", lost, "served", mesh.story.request_id):
            assert part in mesh.explain(mesh.story.request_id), mesh.explain(mesh.story.request_id)

    yield "explain tells who was to serve it, what happened, and who did", explained


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    args = parser.parse_args()
    mesh = ThreeSellers(args.bin.resolve(), args.work.resolve(), slots=4)
    return work_through(mesh, checks_of(mesh), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
