#!/usr/bin/env python3
"""A mesh of real processes with journals: asked, hurt, stopped, and replayed. Each check is a sentence."""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from mesh import Mesh  # noqa: E402

REQUESTS, AT_ONCE = 100, 8


def chat(mesh, number):
    """One streamed completion of any provider: whether it came whole."""
    messages = [{"role": "user", "content": f"Tell me about lantern {number}."}]
    body = {"model": "labman-toy", "stream": True, "max_tokens": 24, "seed": number, "messages": messages}
    status, text = mesh.call("POST", "/v1/chat/completions", body)
    return status == 200 and text.rstrip().endswith("data: [DONE]") and '"error"' not in text


def run_the_day(mesh):
    """A hundred requests; after forty a provider is killed, after seventy it is back on the same journal."""
    lock, done = threading.Lock(), []
    victim = mesh.daemons["provider-1"]

    def one(number):
        whole = chat(mesh, number)
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
            for key_file in [*mesh.work.glob("*/node.key"), *mesh.work.glob("*/root.key"), *mesh.work.glob("*/signing-*.key")]:
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
    mesh = Mesh(args.bin.resolve(), args.work.resolve(), slots=AT_ONCE, journaled=True)
    try:
        mesh.start()
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
        mesh.end(signal.SIGKILL)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
