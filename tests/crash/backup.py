#!/usr/bin/env python3
"""Restores a provider from a backup, and settles what its FEP has paid already. Each check is a sentence."""

import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from check import up_line  # noqa: E402
from checks import work_through  # noqa: E402
from mesh import Mesh, eventually  # noqa: E402

PROVIDER = "provider-1"
JOBS = 3
BODY = {"model": f"{PROVIDER}:local:labman-toy", "max_tokens": 4, "messages": [{"role": "user", "content": "Lanterns?"}]}


class Story:
    def __init__(self, mesh):
        self.mesh = mesh

    def cli(self, *command):
        done = subprocess.run(
            [self.mesh.path("labman-cli"), "--json", "--config", self.mesh.configs[PROVIDER], *command],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
        return json.loads(done.stdout)

    def receipts(self):
        return self.cli("receipts")["receipts"]

    def states(self):
        return sorted(receipt["state"] for receipt in self.receipts())

    def become(self, *states):
        """The states of all receipts, some time soon."""
        eventually(lambda: f"{states}: {self.states()}", lambda: self.states() == sorted(states))

    def restart(self, claim_every, meanwhile=lambda: None):
        daemon, config = self.mesh.daemons[PROVIDER], self.mesh.configs[PROVIDER]
        daemon.end()
        meanwhile()
        toml, found = re.subn(r"^claim_every = .*$", f'claim_every = "{claim_every}"', config.read_text(), flags=re.M)
        assert found == 1, toml
        config.write_text(toml)
        daemon.start()
        daemon.says(up_line(PROVIDER))

    def restore(self):
        shutil.rmtree(self.mesh.data(PROVIDER))
        shutil.copytree(self.backup, self.mesh.data(PROVIDER))

    def open_disputes(self):
        return self.mesh.ask_operator("dispute", "list")["disputes"]

    def checks(self):
        def works():
            for _ in range(JOBS):
                assert self.mesh.call("POST", "/v1/chat/completions", BODY)[0] == 200
            self.become(*["unclaimed"] * JOBS)
            self.backup = self.mesh.work / "backup"
            self.restart("1s", lambda: shutil.copytree(self.mesh.data(PROVIDER), self.backup))
            self.become(*["paid"] * JOBS)

        yield "its receipts are paid, after a backup was made", works

        def refused():
            self.restart("1s", self.restore)
            self.become(*["disputed"] * JOBS)
            reasons = {receipt["rejected"].split(" claim ")[0] for receipt in self.receipts()}
            assert reasons == {"already paid under"}, reasons

        yield "restored, it claims them again, in vain, and is told why", refused

        def shown():
            eventually("the FEP knowing", lambda: len(self.open_disputes()) == JOBS)
            ours, theirs = ({receipt["receipt_id"] for receipt in of} for of in (self.receipts(), self.open_disputes()))
            assert ours == theirs, (ours, theirs)

        yield "its FEP is shown each of them", shown

        def stands():
            first, second, self.third = sorted(receipt["receipt_id"] for receipt in self.receipts())
            self.mesh.ask_operator("dispute", "stands", first[:10], "--answer", "paid on Tuesday")
            self.mesh.ask_operator("dispute", "claim-again", second, "--answer", "look again")
            assert len(self.open_disputes()) == 1
            # Asked each hour, and at a start.
            self.restart("1s")
            eventually("the answer", lambda: self.reason(first) == "paid on Tuesday")
            # The FEP's books have not changed: it refuses again, and a new dispute is open.
            eventually("another dispute", lambda: len(self.open_disputes()) == 2)
            assert self.cli("receipts", "paid", first)["receipt"]["state"] == "paid"
            self.become("paid", "disputed", "disputed")
            self.second = second

        yield "what its FEP's people say arrives, and what its operator says is done", stands

        def written_off():
            owed = self.cli("exposure")["feps"][0]
            assert (owed["written_off"], owed["disputed"] > 0) == (0, True), owed
            for receipt in (self.second, self.third):
                assert self.cli("receipts", "write-off", receipt[:12])["receipt"]["state"] == "written_off"
            now = self.cli("exposure")["feps"][0]
            assert (now["disputed"], now["written_off"], now["total"]) == (0, owed["disputed"], owed["total"]), now
            cleared = self.cli("exposure", "clear", now["fep_id"])["cleared"]
            assert sum(part["cleared"] for part in cleared) == owed["disputed"], cleared
            assert self.cli("exposure")["feps"][0]["total"] == 0

        yield "what is written off counts until it is cleared", written_off

        def hold():
            self.mesh.end()
            ledger = subprocess.run(
                [self.mesh.path("labman-fep"), "ledger", "check", "--data-dir", self.mesh.data("fep")],
                capture_output=True, text=True,
            )  # fmt: skip
            audit = subprocess.run(
                [self.mesh.path("labman-cli"), "audit", "--data-dir", self.mesh.data(PROVIDER),
                 "--fep-data-dir", self.mesh.data("fep"), "--gateway-data-dir", self.mesh.data("gateway")],
                capture_output=True, text=True,
            )  # fmt: skip
            assert ledger.returncode == 0, ledger.stdout + ledger.stderr
            assert audit.returncode == 0, audit.stdout + audit.stderr

        yield "both books hold, alone and beside each other", hold

    def reason(self, receipt_id):
        return next(receipt["rejected"] for receipt in self.receipts() if receipt["receipt_id"] == receipt_id)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    args = parser.parse_args()
    rarely = lambda toml: re.sub(r"^claim_every = .*$", 'claim_every = "1h"', toml, flags=re.M)  # noqa: E731
    mesh = Mesh(args.bin.resolve(), args.work.resolve(), slots=4, provider_toml=rarely)
    return work_through(mesh, Story(mesh).checks(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
