#!/usr/bin/env python3
"""Honest users of a gateway, and what is done to it meanwhile. Each check is a sentence.

Attackers are a process of their own at the lowest priority, from addresses all over 127/8: what is shown is what they do to the
gateway, not to the processor that they share with it.
"""

import argparse
import asyncio
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from checks import work_through  # noqa: E402
from mesh import PATIENCE_S, Mesh  # noqa: E402

USERS = 4
# Of all connections, buffers and jobs of strangers together.
MEMORY_MIB = 256
# A stalled reader's part in the gateway, and with the kernel's buffers.
READER_KIB, READER_KERNEL_KIB = 256, 512
READERS = 24
SLOWER = 2.0
# Where a tenth of a second is noise, twice of it is, too.
NOISE_S = 0.1


class Honest(threading.Thread):
    """A user who asks one question after another, each over a connection of its own."""

    def __init__(self, mesh, until):
        super().__init__()
        self.mesh, self.until, self.took, self.wrong = mesh, until, [], []

    def run(self):
        while time.monotonic() < self.until:
            began = time.monotonic()
            try:
                status, body = self.mesh.ask()
                good = status == 200 and body.rstrip().endswith("data: [DONE]")
            except (OSError, http.client.HTTPException) as error:
                good, body = False, repr(error)
            if not good:
                self.wrong.append(body[:200])
            self.took.append(time.monotonic() - began)


class Victim(Mesh):
    def init(self, program, name, *options):
        config = super().init(program, name, *options)
        toml, told = re.subn(r'^# memory = "1 GiB"', f'memory = "{MEMORY_MIB} MiB"', config.read_text(), flags=re.M)
        assert told == (name == "gateway"), toml
        config.write_text(toml)
        return config

    def ask(self):
        connection = http.client.HTTPConnection(self.api, timeout=PATIENCE_S)
        body = {"model": "labman-toy", "stream": True, "max_tokens": 8, "messages": [{"role": "user", "content": "Oil?"}]}
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.status, answer.read().decode()
        connection.close()
        return said

    def honest(self, seconds):
        """What honest users wait at the 99th percentile, and how many requests that was."""
        users = [Honest(self, time.monotonic() + seconds) for _ in range(USERS)]
        [user.start() for user in users]
        [user.join() for user in users]
        wrong = [what for user in users for what in user.wrong]
        assert not wrong, f"{len(wrong)} honest requests failed: {wrong[:3]}"
        took = sorted(each for user in users for each in user.took)
        return took[min(len(took) - 1, len(took) * 99 // 100)], len(took)

    def memory_kib(self, of="VmRSS"):
        status = pathlib.Path(f"/proc/{self.daemons['gateway'].process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(of)))


# --- the attackers' side

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-nobody\r\n"


def address(number):
    """One of four thousand, so that none has more than its share."""
    return f"127.{66 + number % 4}.{number // 4 % 250}.{1 + number // 1000 % 250}"


class Attack:
    def __init__(self, api, seconds, connections):
        self.host, port = api.rsplit(":", 1)
        self.port, self.until, self.connections = int(port), time.monotonic() + seconds, connections
        self.opened = self.closed_by_it = 0

    async def connect(self, number):
        here = (address(number), 0)
        opened = await asyncio.open_connection(self.host, self.port, local_addr=here, limit=1 << 16)
        self.opened += 1
        return opened

    async def again_and_again(self, number, once):
        while time.monotonic() < self.until:
            try:
                reader, writer = await asyncio.wait_for(self.connect(number), 5)
            except (OSError, asyncio.TimeoutError):
                await asyncio.sleep(0.2)
                continue
            try:
                await once(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()
            await asyncio.sleep(0.05)

    async def drip(self, reader, writer, first, then, every):
        """A little now and then, until it is cut off."""
        writer.write(first)
        gone = asyncio.ensure_future(reader.read())
        while time.monotonic() < self.until:
            done, _ = await asyncio.wait([gone], timeout=min(every, max(0.0, self.until - time.monotonic())))
            if done:
                self.closed_by_it += 1
                return
            if then:
                writer.write(then)
        gone.cancel()

    async def slow_heads(self, reader, writer):
        await self.drip(reader, writer, b"POST /v1/chat/completions HTTP/1.1\r\n", b"x-a: b\r\n", 1)

    async def slow_bodies(self, reader, writer):
        await self.drip(reader, writer, HEAD + b"content-length: 4000000\r\n\r\n{", b" ", 1)

    async def silence(self, reader, writer):
        await self.drip(reader, writer, b"", b"", 1)

    async def garbage(self, reader, writer):
        kinds = (os.urandom(400), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n" * 100, b"\x00" * 4096)  # fmt: skip
        writer.write(kinds[self.opened % len(kinds)])
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 15)

    async def oversize(self, reader, writer):
        if self.opened % 2:
            writer.write(HEAD + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(1000)) + b"\r\n")
        else:
            writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
            for _ in range(100):
                writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                await asyncio.wait_for(writer.drain(), 5)
        await asyncio.wait_for(reader.read(), 5)

    async def run(self, kind):
        await asyncio.gather(*(self.again_and_again(n, getattr(self, kind)) for n in range(self.connections)))
        print(json.dumps({"opened": self.opened, "closed_by_it": self.closed_by_it}))


def attacked(mesh, kind, connections, seconds):
    """Starts an attack; a call that waits for its end and gives what it tells."""
    command = [sys.executable, __file__, "--attack", kind, "--api", mesh.api, "--connections", str(connections), "--seconds", str(seconds)]  # fmt: skip
    attack = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.nice(19))
    return lambda: json.loads(attack.communicate(timeout=seconds + PATIENCE_S)[0])


# --- requests with two meanings: each is sent whole, with a second request behind it that nobody asked for

# By a key that is good: what is not refused for what it is, is served.
SECOND = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
QUESTION = b'{"model": "labman-toy", "max_tokens": 1, "messages": [{"role": "user", "content": "Oil?"}]}'
BODY = b"%x\r\n%s\r\n0\r\n\r\n" % (len(QUESTION), QUESTION)
LENGTH = b"%d" % len(BODY)
SMUGGLED = {
    "both lengths": b"content-length: " + LENGTH + b"\r\ntransfer-encoding: chunked\r\n\r\n" + BODY,
    "both, the other way round": b"transfer-encoding: chunked\r\ncontent-length: " + LENGTH + b"\r\n\r\n" + BODY,
    "two lengths that differ": b"content-length: 5\r\ncontent-length: 0\r\n\r\n" + BODY,
    "a list of lengths": b"content-length: 5, 5\r\n\r\n" + BODY,
    "an encoding that is none": b"transfer-encoding: xchunked\r\n\r\n" + BODY,
    "chunked, but not last": b"transfer-encoding: chunked, gzip\r\n\r\n" + BODY,
    "a space before the colon": b"content-length : 5\r\n\r\n" + BODY,
    "a folded header": b"x-a: b\r\n content-length: 5\r\n\r\n" + BODY,
    "a length with a sign": b"content-length: +5\r\n\r\n" + BODY,
    "a header with a zero": b"x-a: b\x00c\r\ncontent-length: 5\r\n\r\n" + BODY,
    "a chunk whose size is none": b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a chunk whose size is too large": b"transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
}


def exchanged(mesh, request, within_s=20):
    """All that comes back for these bytes until the other end closes."""
    host, port = mesh.api.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=within_s) as connection:
        connection.sendall(request)
        said = b""
        try:
            while piece := connection.recv(65536):
                said += piece
        except ConnectionResetError:
            pass
        return said


def checks_of(mesh, seconds):
    mesh.baseline, _ = mesh.honest(seconds)
    mesh.at_rest = mesh.memory_kib()
    print(f"      honest p99 {mesh.baseline * 1000:.0f} ms at rest, {mesh.at_rest / 1024:.0f} MiB", flush=True)

    def under(kind, connections):
        def check():
            ends = attacked(mesh, kind, connections, seconds + 1)
            try:
                p99, asked = mesh.honest(seconds)
            finally:
                told = ends()
            # The most that it ever was.
            memory = mesh.memory_kib("VmHWM")
            print(f"      p99 {p99 * 1000:.0f} ms of {asked}, {memory / 1024:.0f} MiB, {told}", flush=True)
            assert told["opened"] >= connections, told
            assert p99 <= max(SLOWER * mesh.baseline, mesh.baseline + NOISE_S), (p99, mesh.baseline)
            assert memory <= MEMORY_MIB * 1024, memory

        return check

    def readers():
        before = mesh.memory_kib()
        body = json.dumps({"model": "labman-toy", "stream": True, "max_tokens": 3_000, "min_tokens": 3_000, "messages": [{"role": "user", "content": "Oil?"}]}).encode()  # fmt: skip
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {mesh.key}\r\ncontent-length: {len(body)}\r\n\r\n"  # fmt: skip
        host, port = mesh.api.rsplit(":", 1)
        held = []
        try:
            for number in range(READERS):
                connection = socket.socket()
                # So that what it leaves unread is at the gateway.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.bind((address(number), 0))
                connection.connect((host, int(port)))
                connection.sendall(head.encode() + body)
                held.append(connection)
            p99, asked = mesh.honest(seconds)
            each = (mesh.memory_kib() - before) / READERS
            queued = [queue for queue in sent_and_unread(int(port)) if queue > 10_000]
            print(f"      {each:.0f} KiB each, p99 {p99 * 1000:.0f} ms of {asked}, {len(queued)} of them stalled, at most {max(queued, default=0) / 1024:.0f} KiB in the kernel", flush=True)  # fmt: skip
            assert queued, "nobody stalled"
            assert each <= READER_KIB, each
            assert each + max(queued) / 1024 <= READER_KERNEL_KIB, (each, queued)
        finally:
            [connection.close() for connection in held]

    yield "who does not read holds little", readers

    yield "slow heads, 600 connections", under("slow_heads", 600)
    yield "slow bodies, 600 connections", under("slow_bodies", 600)
    yield "garbage, 100 connections at a time", under("garbage", 100)
    yield "heads and bodies beyond their bounds, 20 at a time", under("oversize", 20)
    yield "two thousand connections that say nothing", under("silence", 2_000)

    def cut():
        began = time.monotonic()
        assert exchanged(mesh, b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n", 30) == b""
        assert 8 <= time.monotonic() - began <= 15, time.monotonic() - began

    yield "a head that does not come to its end is cut off after ten seconds", cut

    def smuggled():
        head = HEAD.replace(b"sk-nobody", mesh.key.encode())
        good = exchanged(mesh, head + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + BODY)
        assert good.startswith(b"HTTP/1.1 200 "), good[:300]
        for what, request in SMUGGLED.items():
            said = exchanged(mesh, head + request + SECOND)
            assert said.startswith(b"HTTP/1.1 400 ") and said.count(b"HTTP/1.1 ") == 1, (what, said[:300])

    yield "requests with two meanings are refused, and what is behind them is no request", smuggled

    def told():
        for what, request, status in (
            ("a body that says it is too long", HEAD + b"content-length: 5000000\r\n\r\n", b"413"),
            ("a hundred headers", HEAD + b"".join(b"x-%d: y\r\n" % n for n in range(100)) + b"\r\n", b"431"),
            ("a head of 40 KiB", HEAD + b"x-a: " + b"y" * 40_000 + b"\r\n\r\n", b"431"),
            ("a body that breaks off", HEAD + b"transfer-encoding: chunked\r\n\r\nno length\r\n", b"400"),
        ):
            said = exchanged(mesh, request)
            assert said.startswith(b"HTTP/1.1 " + status), (what, said[:200])
            head, _, body = said.partition(b"\r\n\r\n")
            if body:
                assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}, (what, body)
                assert b"x-request-id: req_" in head, (what, head)

    yield "what is beyond a bound is told so", told

    def drained():
        connection = http.client.HTTPConnection(mesh.api, timeout=PATIENCE_S)
        body = {"model": "labman-toy", "stream": True, "max_tokens": 60, "min_tokens": 60, "messages": [{"role": "user", "content": "Oil?"}]}  # fmt: skip
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"authorization": f"Bearer {mesh.key}"})
        answer = connection.getresponse()
        begun = answer.read(1).decode()
        mesh.daemons["gateway"].process.send_signal(signal.SIGTERM)
        said = begun + answer.read().decode()
        assert said.rstrip().endswith("data: [DONE]"), said[-300:]
        assert mesh.daemons["gateway"].process.wait(PATIENCE_S) == 0

    yield "asked to end in the middle of an answer, it ends that first", drained


def sent_and_unread(port):
    """Bytes that wait in the kernel at the gateway's end of each connection."""
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[4].split(":")[0], 16) for row in rows if int(row[1].split(":")[1], 16) == port]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin")
    parser.add_argument("--work")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--api", help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    # Two thousand connections want as many files, at both ends.
    resource.setrlimit(resource.RLIMIT_NOFILE, (16_384, max(16_384, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    if args.attack:
        return asyncio.run(Attack(args.api, args.seconds, args.connections).run(args.attack))
    # Readers that hold their slots must not be in the way of the honest.
    mesh = Victim(pathlib.Path(args.bin), pathlib.Path(args.work), slots=32, deposit="50")
    return work_through(mesh, checks_of(mesh, args.seconds), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
