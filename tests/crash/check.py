#!/usr/bin/env python3
"""Kills daemons of a mesh under load, and judges what is left. Each check is a sentence."""

import argparse
import pathlib
import random
import re
import shutil
import signal
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from books import Books, change, rows  # noqa: E402
from load import Load, wait_until  # noqa: E402
from mesh import Mesh, eventually  # noqa: E402

AT_ONCE = 8
# What everybody is billed and paid in.
CURRENCY = "XTS"
# Output tokens that a provider sends beyond the last acknowledgement: protocol.md, section 8.
UNACKED = 64
# Who is killed, how often, of a hundred times.
VICTIMS = [
    (25, ["provider-1"]),
    (15, ["provider-2"]),
    (25, ["fep"]),
    (10, ["provider-1", "fep"]),
    (5, ["provider-1", "provider-2", "fep"]),
    (10, ["gateway"]),
    (5, ["gateway", "fep"]),
    (5, ["portman-2"]),
]
UP = {"fep": r"labman-fep is up: fep (\S+)", "portman-2": r"(portman is up)"}


def up_line(name):
    """What a daemon says when it is up."""
    return UP.get(name, r"labmand is up: node (\S+)")


class Crashes:
    def __init__(self, mesh, seed):
        self.mesh, self.seed, self.books = mesh, seed, Books(mesh)
        self.gateway_deaths = 0
        keys = [mesh.key, mesh.user("bob")]
        self.load = Load(mesh.api, keys, AT_ONCE, seed, lambda: self.gateway_deaths)

    def round(self, number):
        """Lets them work, kills somebody, judges, brings them back; `None`, or what is wrong."""
        began, chance = time.monotonic(), random.Random(f"{self.seed}:{number}")
        victims = chance.choices([who for _, who in VICTIMS], [weight for weight, _ in VICTIMS])[0]
        at, away = chance.uniform(0.1, 2.0), chance.choice([0.0, 0.0, chance.uniform(0.0, 1.5)])
        self.serves()
        wait_until(time.monotonic() + at)
        wrong = self.kill(victims)
        wait_until(time.monotonic() + away)
        again = chance.random() < 0.2
        if again:
            # Once more, while they take up what the last death left.
            for name in victims:
                self.mesh.daemons[name].start()
            wait_until(time.monotonic() + chance.uniform(0.0, 0.3))
            wrong += self.kill(victims)
        for name in victims:
            self.revive(name)
        whole, lost = self.load.counts()
        issued, held = self.books.receipts()
        verdict = "all hold" if not wrong else "BROKEN"
        killed = f"{'twice ' if again else ''}{', '.join(victims)}"
        print(
            f"round {number:3}  killed {killed:34} after {at:.2f} s for {away:.2f} s  "
            f"answers {whole} whole {lost} not  receipts {issued} issued {held} held  {verdict}  "
            f"{time.monotonic() - began:.1f} s",
            flush=True,
        )
        return wrong

    def kill(self, victims):
        for name in victims:
            self.mesh.daemons[name].end(signal.SIGKILL)
            # Only now: who asks of the next life asks nobody yet.
            self.gateway_deaths += name == "gateway"
        return self.judge()

    def serves(self):
        """Work is done: by everybody who was away, too, since users choose by chance."""
        served = self.load.served()
        eventually("answers after a start", lambda: self.load.served() >= served + AT_ONCE)

    def is_back(self, name):
        return re.search(up_line(name), self.mesh.daemons[name].said())

    def revive(self, name):
        daemon = self.mesh.daemons[name]

        def up():
            daemon.start()
            try:
                return daemon.says(up_line(name))
            except RuntimeError:
                # Somebody's outgoing connection has the port for a moment.
                if "can't listen" not in daemon.said():
                    raise

        eventually(f"{name} being back", up)

    def judge(self):
        """What the audits find, a line each."""
        return [
            f"{name}: {finding['invariant']} at {finding['place']}: {finding['what']}"
            for name, report, _ in self.books.audits()
            for finding in report["findings"]
        ]

    def rest(self):
        """Nobody asks any more; what is under way arrives."""
        self.load.end()
        eventually(lambda: f"rest: {self.books.under_way()}", lambda: self.books.under_way() is None)
        self.mesh.end()


def checks_of(crashes):
    books, load = crashes.books, crashes.load

    def holds():
        wrong = crashes.judge()
        assert not wrong, "\n".join(wrong)

    yield "at rest every invariant holds", holds

    issued = {row["receipt"]["receipt_id"]: row["receipt"] for row in rows(books.fep, "receipts").values()}
    held = {}

    def all_there():
        for provider in books.providers:
            for table in ("receipts_open", "receipts_paid"):
                for row in rows(provider, table).values():
                    receipt = row["receipt"]["receipt_id"]
                    assert receipt not in held, f"{receipt} is there twice"
                    held[receipt] = row["receipt"]
        lost, invented = issued.keys() - held.keys(), held.keys() - issued.keys()
        assert not lost and not invented, f"lost {lost}, invented {invented}"
        assert issued == held, "both ends read a receipt differently"
        assert len(issued) > AT_ONCE, f"{len(issued)} receipts prove little"

    yield "every receipt is at its provider, once, and says what the FEP says", all_there

    def paid_for():
        captured = sum(receipt["payout"] for receipt in issued.values())
        paid = sum(row["amount"] for row in rows(books.fep, "rail").values())
        assert captured == paid, f"{captured} micro-units were earned, {paid} paid"
        for provider in books.providers:
            states = {row["state"] for row in rows(provider, "receipts_open").values() if row["receipt"]["payout"]}
            assert not states, f"{provider.name} has receipts {states}"

    yield "what was captured is what was paid, nothing more and nothing less", paid_for

    def users_pay():
        asked = rows(books.fep, "requests")
        left = {row["user"]: 0 for row in rows(books.fep, "users").values()}
        for row in rows(books.fep, "deposits").values():
            left[row["user"]] += row["amount"]
        for receipt in issued.values():
            left[asked[receipt["auth_id"]]["user"]] -= receipt["charge"]
        stored = rows(books.fep, "balances")
        has = {user: stored[f"{CURRENCY} user:{user}"]["balance"] for user in left}
        assert left == has, f"ought to have {left}, have {has}"

    yield "each user has what was paid in, less what the receipts charge", users_pay

    by_request = {receipt["request_id"]: receipt for receipt in issued.values()}

    def served_is_settled():
        free = [answer for answer in load.whole if answer.request_id not in by_request]
        # A gateway that dies between an answer's end and its report cannot know what was delivered: economics.md.
        excused = [answer for answer in free if answer.life < crashes.gateway_deaths]
        assert len(free) == len(excused), f"{len(free) - len(excused)} were served for free"
        assert len(excused) <= AT_ONCE * crashes.gateway_deaths, f"{len(excused)} were served for free"
        got = [answer for answer in load.whole if answer.request_id in by_request]

        def is_charged_right(answer):
            settled = by_request[answer.request_id]["settled"]["output"]
            # Of a gateway that died before it reported the FEP heard from the provider: what was acknowledged is paid.
            least = answer.output - UNACKED if answer.life < crashes.gateway_deaths else answer.output
            return least <= settled <= answer.output

        differ = [answer for answer in got if not is_charged_right(answer)]
        assert not differ, f"{len(differ)} were charged for other counts than they were told"
        print(f"      {len(got)} whole answers were paid for, {len(excused)} died with their gateway")

    yield "every answer that came whole was paid for, as its user was told", served_is_settled

    def few_held():
        # What its user has back, only the gateway's bond answers for, until the authorization's life is over.
        held = [hold for hold in rows(books.fep, "holds").values() if not hold["returned"]]
        # Of these the gateway has said what it knows: they wait for their provider's word, or for their end.
        reported = [hold for hold in held if hold["report"] is not None]
        most = AT_ONCE * crashes.gateway_deaths
        silent = len(held) - len(reported)
        assert silent <= most, f"{silent} holds are open, gateways died {crashes.gateway_deaths} times"
        print(f"      {silent} holds of gateways that died, {len(reported)} that wait for their provider's word")

    yield "nothing is held but for jobs that died with their gateway", few_held

    paid_row = "(select key from receipts_paid limit 1)"
    spoils = [
        ("a receipt that is gone at its provider", "provider", f"delete from receipts_paid where key = {paid_row}", "I6"),
        (
            "a receipt that is unpaid again at its provider", "provider",
            "insert into receipts_open select key, "
            f"json_set(value, '$.state', 'unclaimed', '$.claim_id', null) from receipts_paid where key = {paid_row}", "I4",
        ),
        (
            "a micro-unit more in an account", "fep",
            "update balances set value = json_set(value, '$.balance', json_extract(value, '$.balance') + 1) "
            f"where key = '{CURRENCY} rail:payouts'", "I1",
        ),
        ("a hold that never ended", "fep", "delete from resolutions where key = (select key from resolutions limit 1)", "I2"),
        ("a payout that is gone", "fep", "delete from rail where key = (select key from rail limit 1)", "I3"),
    ]  # fmt: skip
    for number, (what, whose, statement, invariant) in enumerate(spoils):

        def finds(number=number, whose=whose, statement=statement, invariant=invariant):
            of = books.fep if whose == "fep" else books.providers[0]
            spoilt = crashes.mesh.work / f"spoilt-{number}-data"
            shutil.copytree(of, spoilt, ignore=shutil.ignore_patterns("*.sock"))
            change(spoilt, statement)
            named = {"fep": spoilt} if whose == "fep" else {"providers": [spoilt]}
            broken = [
                verdict["invariant"]
                for _, report, code in books.audits(**named)
                for verdict in report["verdicts"]
                if not verdict["holds"] and code != 0
            ]
            assert invariant in broken, f"found {broken}"

        yield f"an audit finds {what}", finds


def cheap_and_quick(toml):
    """Claims come often enough to be killed in the middle."""
    toml, found = re.subn(r'^claim_every = .*$', 'claim_every = "1s"', toml, flags=re.M)
    assert found == 1, toml
    return toml


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    passed = failed = 0
    mesh = Mesh(
        args.bin.resolve(), args.work.resolve(), slots=AT_ONCE, deposit="1000", provider_toml=cheap_and_quick
    )
    crashes, began = None, time.monotonic()
    try:
        mesh.start()
        crashes = Crashes(mesh, args.seed)
        for number in range(1, args.rounds + 1):
            wrong = crashes.round(number)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            for line in wrong:
                print(f"      {line}")
        crashes.rest()
        for sentence, check in checks_of(crashes):
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
        if crashes:
            crashes.load.stop.set()
        mesh.end(signal.SIGKILL)
    if failed:
        print(f"again: tests/crash/run.sh --rounds {args.rounds} --seed {args.seed}")
    print(f"seed {args.seed}, {args.rounds} rounds in {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
