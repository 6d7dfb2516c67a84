#!/usr/bin/env python3
"""Takes the space from a FEP and a provider at work, then the right to write. Each check is a sentence."""

import argparse
import pathlib
import re
import signal
import subprocess
import sys
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from check import AT_ONCE, Crashes, checks_of, cheap_and_quick  # noqa: E402
from mesh import PATIENCE_S, Mesh, eventually  # noqa: E402

# More than a write-ahead log grows to (4 MiB) before it begins anew.
DISK = "16m"


class Disk:
    """What a daemon keeps its data on."""

    def __init__(self, at):
        self.at, self.filler = at, at / "filler"
        at.mkdir(mode=0o700)
        mount("-t", "tmpfs", "-o", f"size={DISK},mode=700", "none", at)

    def fill(self):
        """To the last byte: what a daemon frees, this takes again when asked to."""
        with open(self.filler, "ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass

    def clear(self):
        self.filler.unlink()

    def writable(self, is_writable):
        mount("-o", f"remount,{'rw' if is_writable else 'ro'}", self.at)


def mount(*options):
    subprocess.run(["mount", *options], check=True)


class Trouble:
    def __init__(self, mesh, disks):
        self.mesh, self.disks = mesh, disks
        self.crashes = Crashes(mesh, seed=1)

    def serves(self, name):
        """A request that only this daemon, of all that could, serves."""
        model = f"{name}:local:labman-toy" if name.startswith("provider") else "labman-toy"
        body = {"model": model, "max_tokens": 4, "messages": [{"role": "user", "content": "Lanterns?"}]}
        try:
            return self.mesh.call("POST", "/v1/chat/completions", body)[0] == 200
        except OSError:
            return False

    def checks(self):
        for name, disk in self.disks.items():
            yield f"{name}: at work, it serves", lambda: eventually("service", lambda: self.serves(name))

            def refuses():
                daemon = self.mesh.daemons[name]
                seen = len(daemon.said())
                disk.fill()
                pattern = r"stopped: .*(disk is full|disk I/O error).*restarting from the store"
                eventually(f"{name} stopping", lambda: re.search(pattern, daemon.said()[seen:]))
                disk.fill()
                assert daemon.is_up(), daemon.said()[-800:]
                served = [self.serves(name) for _ in range(3)]
                assert not any(served), f"of three jobs on a full disk it served {served}"

            yield f"{name}: without space it takes no work, and stays up", refuses
            yield f"{name}: its books hold on the full disk", self.hold

            def returns():
                disk.clear()
                eventually("service", lambda: self.serves(name))

            yield f"{name}: with space again it goes on by itself", returns

            def starts_full():
                daemon = self.mesh.daemons[name]
                daemon.end(signal.SIGKILL)
                disk.fill()
                self.hold()
                disk.fill()
                daemon.start()
                # Its log may have room within itself for what a start writes: then it is up until it needs more.
                eventually(f"{name} up, or ended", lambda: self.crashes.is_back(name) or not daemon.is_up())
                if not daemon.is_up():
                    self.says_why(daemon)
                disk.clear()
                if not daemon.is_up():
                    self.crashes.revive(name)
                eventually("service", lambda: self.serves(name))

            yield f"{name}: killed, and started without space, it is up or says why not, and serves with space", starts_full

            def read_only():
                daemon = self.mesh.daemons[name]
                daemon.end()
                disk.writable(False)
                self.hold()
                daemon.start()
                self.says_why(daemon)
                disk.writable(True)
                self.crashes.revive(name)
                eventually("service", lambda: self.serves(name))

            yield f"{name}: on a read-only disk its books can be judged, it does not start, and says why", read_only

    def says_why(self, daemon):
        """It ends at once with one line that names the store, or what stands beside it."""
        code = daemon.process.wait(timeout=PATIENCE_S)
        last = daemon.said().strip().splitlines()[-1]
        assert code == 1 and last.startswith("error: ") and "-data" in last, (code, last)

    def hold(self):
        wrong = self.crashes.judge()
        assert not wrong, "\n".join(wrong)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    args = parser.parse_args()
    work = args.work.resolve()
    mesh = Mesh(args.bin.resolve(), work, slots=AT_ONCE, deposit="1000", provider_toml=cheap_and_quick)
    results, trouble = [], None

    def run(checks):
        for sentence, check in checks:
            try:
                check()
                results.append(True)
            except Exception:
                results.append(False)
                traceback.print_exc(file=sys.stdout)
            print(f"{'ok   ' if results[-1] else 'FAIL '} {sentence}", flush=True)

    try:
        disks = {name: Disk(mesh.data(name)) for name in ("provider-1", "fep")}
        mesh.start()
        trouble = Trouble(mesh, disks)
        run(trouble.checks())
        trouble.crashes.rest()
        run(checks_of(trouble.crashes))
    except Exception:
        results.append(False)
        traceback.print_exc(file=sys.stdout)
    finally:
        if trouble:
            trouble.crashes.load.stop.set()
        mesh.end(signal.SIGKILL)
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
