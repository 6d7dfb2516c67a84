"""Run by packet_trap.sh, inside its namespace. Last line: `N passed, N failed`."""

import ipaddress
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import time

BIN = pathlib.Path(os.environ.get("LABMAN_BIN", "target/release")).resolve()
HOSTILE = pathlib.Path(os.environ["HOSTILE"]).resolve()
WORK = pathlib.Path(os.environ["WORK"])
PORT = 7711
SECONDS = 25
NODE = "127.0.0.1:7700"

results = []


def check(name, holds, detail=""):
    results.append(bool(holds))
    print(f"{'ok    ' if holds else 'FAILED'} {name}{'' if holds else ': ' + str(detail)[-800:]}")


def hostile_addresses():
    """Private, shared, link-local, metadata, multicast, reserved, documentation, our own networks, and the same inside IPv6."""
    v4 = [f"10.{n}.0.9" for n in range(16)] + [f"192.168.{n}.9" for n in range(16)]
    v4 += [f"172.{16 + n}.0.9" for n in range(8)] + [f"100.{64 + n}.0.9" for n in range(8)]
    v4 += [f"169.254.{n}.254" for n in (0, 1, 169)] + ["169.254.169.254", "10.77.0.2", "10.77.0.99"]
    v4 += [f"127.0.{n}.7" for n in range(6)] + [f"224.0.{n}.9" for n in range(4)] + ["239.1.2.3", "255.255.255.255"]
    v4 += ["0.0.0.0", "0.1.2.3", "240.0.0.1", "192.0.2.7", "198.51.100.7", "203.0.113.7", "198.18.0.7", "192.0.0.8"]
    v6 = ["::1", "::", "fd77::2", "fc00::9", "fd00::9", "fe80::9", "ff02::1", "ff0e::9", "2001:db8::7", "fec0::9"]
    inner = ["10.0.0.9", "192.168.0.9", "127.0.0.7", "169.254.169.254"]
    v6 += [f"::ffff:{ip}" for ip in inner] + [f"64:ff9b::{ip}" for ip in inner]
    v6 += [str(ipaddress.IPv6Address(0x2002 << 112 | int(ipaddress.IPv4Address(ip)) << 80 | 9)) for ip in inner]
    named = ["localhost", "db.internal", "metadata.google.internal", "printer.local"]
    return v4, v6, named


def told(addresses):
    v4, v6, named = addresses
    return [f"{ip}:{PORT}" for ip in v4 + named] + [f"[{ip}]:{PORT}" for ip in v6]


class Trap:
    """Sees every packet of the namespace."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.calls, self.asked, self.names = set(), set(), 0

    def watch(self, until):
        while (left := until - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                packet, (_, protocol, *_) = self.socket.recvfrom(2048)
                self.saw(protocol, packet)

    def saw(self, protocol, packet):
        if protocol == 0x0806:
            self.asked.add(str(ipaddress.ip_address(packet[24:28])))
        elif protocol == 0x0800 and packet[9] == 17:
            self.datagram(packet[16:20], packet[(packet[0] & 15) * 4:])
        elif protocol == 0x86DD and packet[6] == 17:
            self.datagram(packet[24:40], packet[40:])

    def datagram(self, ip, rest):
        _, port = struct.unpack("!HH", rest[:4])
        if port == PORT:
            self.calls.add(str(ipaddress.ip_address(ip)))
        self.names += port == 53


def main():
    addresses = hostile_addresses()
    # Each in a network of its own: one of a network is called at a time.
    public = [f"8.{n}.0.1" for n in range(1, 7)] + ["2606:4700::1111"]
    lines = told(addresses) + told((public[:-1], public[-1:], []))
    (WORK / "addresses").write_text("".join(f"{line}\n" for line in lines))
    hostile = len(told(addresses))
    check("a hundred addresses, or more, that nobody should call", hostile >= 100, hostile)

    made = subprocess.run([BIN / "labmand", "init", "--gateway", "--mesh-listen", NODE, "--http-listen", "127.0.0.1:0"],
                          cwd=WORK, capture_output=True, text=True)
    node_id = subprocess.run([BIN / "labmand", "id", "--config", "labman.toml"], cwd=WORK, capture_output=True, text=True)
    config = (WORK / "labman.toml").read_text()
    fep = subprocess.run([BIN / "labman-fep", "init", "--out", "fep.toml"], cwd=WORK, capture_output=True, text=True)
    fep_id = subprocess.run([BIN / "labman-fep", "id", "--config", "fep.toml"], cwd=WORK, capture_output=True, text=True)
    (WORK / "labman.toml").write_text(config.replace("FEP-ID", fep_id.stdout.strip()))
    log = open(WORK / "labmand.log", "w+")
    node = subprocess.Popen([BIN / "labmand", "--config", "labman.toml"], cwd=WORK, stderr=log, stdout=subprocess.DEVNULL)
    trap = Trap()
    try:
        end = time.monotonic() + 20
        while "labmand is up" not in pathlib.Path(log.name).read_text() and time.monotonic() < end:
            time.sleep(0.1)
        teller = subprocess.Popen(
            [HOSTILE, "--target", NODE, "--node-id", node_id.stdout.strip(), "--network", "labman",
             "--seconds", str(SECONDS), "--tell", WORK / "addresses"], stdout=subprocess.PIPE, text=True)
        trap.watch(time.monotonic() + SECONDS + 2)
        said, _ = teller.communicate(timeout=20)
        print(said, end="")
        status = subprocess.run([BIN / "labman-cli", "status", "--config", "labman.toml", "--json"],
                                cwd=WORK, capture_output=True, text=True)
        check("a neighbour told of all of them, again and again", teller.returncode == 0 and "told of" in said, said)
        check("the node lives", node.poll() is None and json.loads(status.stdout)["up"], status)
    finally:
        node.terminate()
        node.wait()
    v4, v6, _ = addresses
    wrong = trap.calls - set(public)
    check("no packet goes to any of them", not wrong, sorted(wrong))
    check("nor is anybody on the local network asked for", not trap.asked & set(v4), sorted(trap.asked))
    check("no name is looked up", trap.names == 0, trap.names)
    seen = trap.calls & set(public)
    check("those at public addresses are called, so the trap sees", len(seen) == len(public), sorted(seen))
    if made.returncode or fep.returncode or not all(results):
        log.seek(0)
        print(made.stderr, fep.stderr, log.read()[-3000:], file=sys.stderr)
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
