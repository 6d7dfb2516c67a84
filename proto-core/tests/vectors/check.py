#!/usr/bin/env python3
"""Holds the golden vectors against protocol.md, with nothing of labman's code.

    check.py                every vector: accepted or refused as it says, by the rule and with the fields it says
    check.py --flip         the same, and every byte of every accepted frame, object and signature flipped: all refused
    check.py FILE.json ...  of those files only

The CDDL, the kinds of frames with their caps and the kinds of objects are read from protocol.md; rules that are prose
there are written out below, each with its section. Payloads that are accepted are validated by pycddl too.

The last line is `N passed, N failed`; the exit status is 1 if anything failed. What is needed beyond Python 3 is
installed into a virtual environment under the target directory when it is missing.
"""

import functools
import ipaddress
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PINNED = ["blake3==1.0.11", "cbor2==6.3.0", "cryptography==50.0.2", "pycddl==0.6.4"]


VENV = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "vectors-venv"
INSIDE = "LABMAN_VECTORS_VENV"


def start_again_with_packages():
    """In a virtual environment, made where it is missing or of other versions."""
    if INSIDE in os.environ:
        sys.exit(f"{VENV} lacks a package of {', '.join(PINNED)}: remove it and try again")
    python, stamp = VENV / "bin" / "python", VENV / "pinned"
    if not stamp.exists() or stamp.read_text() != " ".join(PINNED):
        print(f"installing {', '.join(PINNED)} into {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        quietly = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *quietly, *PINNED], check=True)
        stamp.write_text(" ".join(PINNED))
    os.environ[INSIDE] = "yes"
    os.execv(python, [python, __file__, *sys.argv[1:]])


try:
    import blake3
    import cbor2
    import pycddl
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    start_again_with_packages()


class Refused(Exception):
    """The rule that was broken, as protocol.md, section 14, names it."""


def refuse_unless(holds, rule):
    if not holds:
        raise Refused(rule)


# protocol.md, read.

PROTOCOL = (ROOT / "protocol.md").read_text(encoding="utf-8")
CDDL = "\n".join(re.findall(r"```cddl\n(.*?)```", PROTOCOL, re.S))


def rule_name(message):
    """`PeerRecord` is `peer-record` in the CDDL."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", message).lower()


def table_of_frames():
    rows = re.findall(r"^\| (\w+) \| (0x[0-9a-f]+|\d+) \| ([\d,]+) \| ([^|]+) \|$", PROTOCOL, re.M)
    return {int(number, 0): (name, int(cap.replace(",", "")), where) for name, number, cap, where in rows}


def table_of_objects():
    section = PROTOCOL.split("\n## 4.")[1].split("\n## ")[0]
    return {name: int(kind) for kind, name in re.findall(r"^\| (\d+) \| (\w+) \| \w+ \|$", section, re.M)}


FRAMES = table_of_frames()
OBJECTS = table_of_objects()
assert len(FRAMES) >= 26 and len(OBJECTS) >= 15, "protocol.md's tables of kinds are not where they were"

# Section 1: hashes, signatures, ids.


def hashed(*parts):
    return blake3.blake3(b"".join(parts)).digest()


def derived(context, material):
    return blake3.blake3(material, derive_key_context=context).digest()


def net_id(network):
    return derived("labman net 1", network.encode())[:8]


P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def point(encoded):
    """RFC 8032, section 5.1.3; None: no point, or not the encoding that an encoder makes."""
    number = int.from_bytes(encoded, "little")
    y, odd = number % 2**255, number >> 255
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 % P * pow(u * v**7 % P, (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * ROOT_OF_MINUS_1 % P
    elif v * x * x % P != u:
        return None
    if x == 0 and odd:
        return None
    return (P - x if x % 2 != odd else x, y)


def add(one, other):
    (a, b), (c, d) = one, other
    product = D * a * b * c * d % P
    x = (a * d + b * c) * pow(1 + product, -1, P) % P
    y = (b * d + a * c) * pow(1 - product, -1, P) % P
    return x, y


@functools.cache
def is_sound(encoded):
    """A canonical encoding of a point that is not of small order."""
    found = point(encoded)
    for _ in range(3):
        found = found and add(found, found)
    return found is not None and found != (0, 1)


def signature_holds(signer, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L or not is_sound(signer) or not is_sound(r):
        return False
    try:
        # Without the cofactor: it compares R with the encoding of [S]B - [k]A.
        Ed25519PublicKey.from_public_bytes(signer).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def read_id(text):
    refuse_unless(text and all(letter in BASE58 for letter in text), "id.text")
    number = 0
    for letter in text:
        number = number * 58 + BASE58.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    raw = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    refuse_unless(len(raw) == 32, "id.text")
    return raw


def derive(what, material):
    if what == "net id":
        return derived("labman net 1", material)[:8]
    if what == "topic":
        return topic_of(material.decode())
    if what in ("auth id", "receipt id", "payout id"):
        return derived(f"labman {what} 1", material)[:16]
    return derived({"key digest": "labman api key 1", "key id": "labman key id 1"}[what], material)


# Section 2: the subset of CBOR.


class Cbor:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, count):
        refuse_unless(count <= len(self.raw) - self.at, "cbor.cut-short")
        self.at += count
        return self.raw[self.at - count : self.at]

    def head(self):
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info
        refuse_unless(info < 28, "cbor.indefinite")
        width = 1 << (info - 24)
        value = int.from_bytes(self.take(width), "big")
        if major == 7:
            raise Refused("cbor.simple")
        refuse_unless(value >= (24 if width == 1 else 1 << (4 * width)), "cbor.shortest")
        return major, value

    def item(self, depth=0):
        refuse_unless(depth <= 8, "cbor.depth")
        major, value = self.head()
        if major == 2:
            self.take(value)
        elif major == 3:
            try:
                self.take(value).decode("utf-8", "strict")
            except UnicodeDecodeError:
                raise Refused("cbor.utf8") from None
        elif major == 4:
            refuse_unless(value <= 256, "cbor.items")
            for _ in range(value):
                self.item(depth + 1)
        elif major == 5:
            refuse_unless(value <= 256, "cbor.items")
            last = -1
            for _ in range(value):
                kind, key = self.head()
                refuse_unless(kind != 1, "cbor.critical")
                refuse_unless(kind == 0, "cbor.key-type")
                refuse_unless(key > last, "cbor.key-order")
                last = key
                self.item(depth + 1)
        elif major == 6:
            raise Refused("cbor.tag")
        elif major == 7:
            refuse_unless(value in (20, 21, 22), "cbor.simple")


def check_cbor(raw):
    reader = Cbor(raw)
    reader.item()
    refuse_unless(reader.at == len(raw), "cbor.trailing")


# The CDDL of protocol.md: what of RFC 8610 stands there, and no more.

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\.\.|\.[a-z]+|=>|-?\d+|[A-Za-z][\w-]*|[{}\[\]<>=/,?*])')


class Schema:
    """The rules by name. `norm` gives what a reader understands of a value: unknown keys and null optionals left out."""

    def __init__(self, text):
        self.tokens, at = [], 0
        text = re.sub(r";[^\n]*", "", text).rstrip()
        while at < len(text):
            found = TOKEN.match(text, at)
            assert found, f"protocol.md's CDDL at {text[at:][:40]!r}"
            self.tokens.append(found[1])
            at = found.end()
        self.at, self.rules = 0, {}
        while self.at < len(self.tokens):
            name = self.next()
            if self.peek() == "<":
                self.generic()
            self.expect("=")
            assert name not in self.rules, f"protocol.md's CDDL has {name} twice"
            self.rules[name] = self.type()

    def peek(self, ahead=0):
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else None

    def next(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, token):
        assert self.next() == token, f"protocol.md's CDDL: {token!r} is missing before {self.tokens[self.at - 1:][:4]}"

    def generic(self):
        self.expect("<")
        self.type()
        self.expect(">")

    def type(self):
        choices = [self.single()]
        while self.peek() == "/":
            self.next()
            choices.append(self.single())
        return choices[0] if len(choices) == 1 else ("choice", choices)

    def single(self):
        token = self.next()
        if token == "{":
            return ("map", self.members("}", keyed=True))
        if token == "[":
            return ("array", self.members("]", keyed=False))
        if re.fullmatch(r"-?\d+", token):
            if self.peek() == "..":
                self.next()
                return ("range", int(token), int(self.next()))
            return ("range", int(token), int(token))
        if self.peek() == "<":
            self.generic()
        if self.peek() == ".size":
            self.next()
            return ("size", token, int(self.next()))
        if self.peek() == ".regexp":
            self.next()
            return ("regexp", self.next()[1:-1])
        return ("name", token)

    def members(self, end, keyed):
        members = []
        while self.peek() != end:
            least, most = 1, 1
            if self.peek() == "?":
                self.next()
                least = 0
            elif self.peek() == "*" or self.peek(1) == "*":
                least = int(self.next()) if self.peek() != "*" else 0
                self.expect("*")
                most = int(self.next()) if re.fullmatch(r"\d+", self.peek()) and self.peek(1) != "=>" else None
            key = None
            if keyed:
                key = int(self.next())
                self.expect("=>")
            members.append((least, most, key, self.type()))
            if self.peek() == ",":
                self.next()
        self.next()
        return members

    def norm(self, kind, value):
        what, *args = kind
        number = isinstance(value, int) and not isinstance(value, bool)
        if what == "name":
            (name,) = args
            if name in self.rules:
                return self.norm(self.rules[name], value)
            fits = {
                "uint": number and 0 <= value < 2**64,
                "int": number and -(2**64) <= value < 2**64,
                "bool": isinstance(value, bool),
                "tstr": isinstance(value, str),
                "bstr": isinstance(value, bytes),
                "bytes": isinstance(value, bytes),
            }[name]
            refuse_unless(fits, "content")
        elif what == "range":
            refuse_unless(number and args[0] <= value <= args[1], "content")
        elif what == "size":
            refuse_unless(isinstance(value, {"tstr": str}.get(args[0], bytes)) and len(value) == args[1], "content")
        elif what == "regexp":
            refuse_unless(isinstance(value, str) and re.fullmatch(args[0], value), "content")
        elif what == "choice":
            for choice in args[0]:
                try:
                    return self.norm(choice, value)
                except Refused:
                    pass
            raise Refused("content")
        elif what == "map":
            return self.norm_map(args[0], value)
        elif what == "array":
            return self.norm_array(args[0], value)
        return value

    def norm_map(self, members, value):
        refuse_unless(isinstance(value, dict), "content")
        understood = {}
        for least, _, key, kind in members:
            if least == 0 and value.get(key) is None:
                continue
            refuse_unless(key in value, "content")
            understood[key] = self.norm(kind, value[key])
        return understood

    def norm_array(self, members, value):
        refuse_unless(isinstance(value, list), "content")
        understood, rest = [], value
        for least, most, _, kind in members:
            # No array of the protocol has members of unfixed number in front of others.
            count = min(len(rest), len(rest) if most is None else most)
            refuse_unless(count >= least, "content")
            understood += [self.norm(kind, item) for item in rest[:count]]
            rest = rest[count:]
        refuse_unless(not rest, "content")
        return understood


SCHEMA = Schema(CDDL)


@functools.cache
def pycddl_schema(name):
    # It knows neither generics in arrays nor ranges of 64 bits, and does not anchor regular expressions.
    known = re.sub(r"object<[\w-]+>", "bytes", CDDL.replace("object<T>  = bytes", ""))
    known = known.replace("-9223372036854775808..9223372036854775807", "int")
    return pycddl.Schema(f"the-root = {name}\n" + re.sub(r'\.regexp "(.*?)"', r'.regexp "^\1$"', known))


def pycddl_takes(name, raw):
    try:
        pycddl_schema(name).validate_cbor(raw)
    except pycddl.ValidationError:
        return False
    return True


def content(name, raw):
    """A payload's fields, as a reader understands them."""
    check_cbor(raw)
    value = cbor2.loads(raw)
    fields = SCHEMA.norm(("name", name), value)
    assert pycddl_takes(name, cbor2.dumps(fields, canonical=True)), f"pycddl does not take this {name}: {fields}"
    return fields


def show(value):
    """As the vectors write it."""
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, list):
        return [show(item) for item in value]
    if isinstance(value, dict):
        return {str(key): show(item) for key, item in value.items()}
    return value


# Section 3: frames.

MESH = b"labman/mesh/1\0"
# Where a frame's rule is not named after it, but an object's is.
PAYLOADS = {"StreamAck": "taken"}


class Frame:
    def __init__(self, raw):
        self.raw, self.kind, self.light = raw, int.from_bytes(raw[5:7], "big"), raw[5] >= 0x80
        if self.light:
            self.payload = raw[7:]
            return
        self.body, self.signature = raw[4:-64], raw[-64:]
        header, self.payload = self.body[:107], self.body[107:]
        self.net_id, self.sender, self.dest = header[3:11], header[11:43], header[43:75]
        self.incarnation = int.from_bytes(header[75:83], "big")
        self.seq = int.from_bytes(header[83:91], "big")
        self.issued_ms = int.from_bytes(header[91:99], "big")
        self.ttl_s = int.from_bytes(header[99:103], "big")
        self.payload_len = int.from_bytes(header[103:107], "big")

    def head(self):
        return {
            "id": hashed(MESH, self.body).hex(),
            "kind": self.kind,
            "sender": self.sender.hex(),
            "incarnation": self.incarnation,
            "seq": self.seq,
            "issued_ms": self.issued_ms,
            "ttl_s": self.ttl_s,
        }

    def verify(self, network):
        refuse_unless(self.net_id == net_id(network), "frame.network")
        refuse_unless(signature_holds(self.sender, MESH + self.body, self.signature), "frame.signature")

    def message(self):
        name = FRAMES[self.kind][0]
        if name == "Body":
            return self.payload  # The one payload that is no CBOR.
        fields, key = content(PAYLOADS.get(name) or rule_name(name), self.payload), TOPICS.get(name)
        if fields.get(key):
            fields[key] = sorted(set(fields[key]))  # A set: in any order, and one of them twice.
        return fields


def cut(raw):
    """The first frame and what is behind it; None: it is not whole yet."""
    if len(raw) < 4:
        return None
    length = int.from_bytes(raw[:4], "big")
    refuse_unless(3 <= length <= 262_144, "frame.length")
    if len(raw) < 7:
        return None
    refuse_unless(raw[4] == 1, "frame.version")
    kind = int.from_bytes(raw[5:7], "big")
    light = kind >= 0x8000
    _, cap, _ = FRAMES.get(kind, (None, 262_144 if light else 65_536, None))
    refuse_unless(length + 4 <= cap and (light or length >= 171), "frame.length")
    if len(raw) < 4 + length:
        return None
    frame = Frame(raw[: 4 + length])
    refuse_unless(light or frame.payload_len + 171 == length, "frame.payload-length")
    return frame, raw[4 + length :]


def only_frame(raw):
    found = cut(raw)
    refuse_unless(found and not found[1], "frame.length")
    return found[0]


def check_directed(frame, context, last_seq):
    refuse_unless(frame.sender.hex() == context["peer"], "frame.sender")
    refuse_unless(frame.dest.hex() == context["receiver"], "frame.destination")
    refuse_unless(frame.seq > last_seq, "frame.repeated")
    frame.verify(context["network"])


def check_hello(fields, context):
    refuse_unless(fields[3].hex() == context["binding"], "hello.binding")


def directed(raw, context):
    frame = only_frame(raw)
    refuse_unless(not frame.light, "frame.length")
    check_directed(frame, context, context["last_seq"])
    if frame.kind not in FRAMES:
        return frame.head() | {"dropped": True}
    fields = frame.message()
    if FRAMES[frame.kind][0] == "Hello":
        check_hello(fields, context)
    if FRAMES[frame.kind][0] == "Shuffle":
        return frame.head() | {"fields": show(fields)} | shuffled(fields, context)
    return frame.head() | {"fields": show(fields)}


def light(raw, _):
    frame = only_frame(raw)
    if frame.kind not in FRAMES:
        return {"kind": frame.kind, "dropped": True}
    return {"kind": frame.kind, "fields": show(frame.message())}


# Section 7: what of a record is news.


def is_record(kind):
    return kind in FRAMES and FRAMES[kind][2].startswith("broadcast")


# Where a message has topics.
TOPICS = {"Hello": 2, "PeerRecord": 6, "CapabilityRecord": 2, "Departure": 0, "Suspicion": 2, "Shuffle": 2}
ALL = None  # all topics; otherwise a set of them


def topic_of(model):
    """Section 7: the letters that a model's bare name begins with, in lower case."""
    name = model.split(":", 2)[2] if model.count(":") >= 2 else model
    letters = re.match("[A-Za-z]*", name.rsplit("/", 1)[-1]).group().lower()
    return derived("labman topic 1", letters.encode())[:8]


def topics_in(fields, key):
    return ALL if fields.get(key) is None else {bytes(topic) for topic in fields[key]}


def meet(one, other):
    if one is ALL or other is ALL:
        return one != set() and other != set()
    return bool(one & other)


def both(one, other):
    return ALL if one is ALL or other is ALL else one | other


class Hearing:
    """What a node of some interest holds of others, and makes of what it hears."""

    def __init__(self, context):
        self.context, self.me, self.now = context, bytes.fromhex(context["receiver"]), context["wall_ms"]
        families = context.get("families", [])
        self.interest = {topic_of(family) for family in families} if families else ALL
        self.linked = {bytes.fromhex(context["peer"])} if "peer" in context else set()
        self.held, self.dead, self.suspected, self.peers = {}, {}, {}, {}

    def hear(self, frame):
        refuse_unless(is_record(frame.kind), "frame.signature")  # Only a flipped one is none.
        name, version = FRAMES[frame.kind][0], (frame.incarnation, frame.seq)
        refuse_unless(frame.sender != self.me, "record.own")
        fields = frame.message()
        key = (name, frame.sender, bytes(fields[0]) if name == "Suspicion" else None)
        before = self.held.get(key)
        refuse_unless(not before or version > before[0], "record.stale")
        refuse_unless(1 <= frame.ttl_s <= 1800, "record.ttl")
        refuse_unless(frame.issued_ms + 1000 * frame.ttl_s > self.now, "record.expired")
        refuse_unless(frame.issued_ms <= self.now + 120_000, "record.ahead")
        refuse_unless(frame.dest == bytes(32), "record.destination")
        refuse_unless(before or self.concerns(name, frame.sender, fields), "record.concern")
        if name in WITNESSES:
            missed = frame.sender not in self.linked and self.is_missed(frame.sender, version, fields[WITNESSES[name]])
            refuse_unless(self.dead.get(frame.sender, (-1, -1)) < version and not missed, "record.dead")
        frame.verify(self.context["network"])
        return self.learn(name, key, version, fields, before)

    def concerns(self, name, sender, fields):
        if name == "PeerRecord":
            return sender in self.linked or (fields[0] and dialable_in(fields))
        if name == "CapabilityRecord":
            return meet(self.interest, topics_in(fields, 2))
        if name == "Departure":
            return meet(self.interest, topics_in(fields, 0)) or self.knows(sender)
        subject = bytes(fields[0])
        return subject == self.me or meet(self.interest, topics_in(fields, 2)) or self.knows(subject)

    def learn(self, name, key, version, fields, before):
        sender = key[1]
        if name == "PeerRecord":
            if not before and not self.place(sender, fields):
                return {}
            self.held[key] = (version, fields, set())
            return {}
        if name == "Suspicion" and key[2] == self.me:
            return {"refuted": True}
        topics = topics_in(fields, {"CapabilityRecord": 2, "Departure": 0, "Suspicion": 2}[name])
        read = {}
        if name == "CapabilityRecord":
            topics = both(topics, before[2]) if before else topics
            read["served"] = sorted(served(fields, sender, self.context))
        self.held[key] = (version, fields, topics)
        if name == "Departure":
            self.bury(sender, version)
        if name == "Suspicion":
            self.suspected.setdefault(key[2], {})[sender] = (fields[1][0], fields[1][1])
            self.judge(key[2])
        return read | {"tree": (min(topics) if topics else bytes(8)).hex()}

    def place(self, sender, fields):
        address = fields[0] and dialable_in(fields)
        if address:
            crowds = [sum(net in nets for nets in self.peers.values()) for net in networks(address)]
            if all(crowd < most for crowd, most in zip(crowds, (2, 4, 16))):
                self.peers[sender] = networks(address)
                return True
        return sender in self.linked

    def knows(self, node):
        return any((name, node, None) in self.held for name in WITNESSES)

    def is_missed(self, node, version, witnesses):
        by = self.suspected.get(node, {})
        count = sum(by.get(bytes(witness), (-1, -1)) >= version for witness in witnesses)
        return bool(witnesses) and count >= min(3, len(witnesses))

    def judge(self, node):
        for name, witnesses in WITNESSES.items():
            held = self.held.get((name, node, None))
            if held and node not in self.linked and self.is_missed(node, held[0], held[1][witnesses]):
                self.bury(node, held[0])

    def bury(self, node, version):
        self.dead[node] = max(version, self.dead.get(node, (-1, -1)))
        for name in WITNESSES:
            if (held := self.held.get((name, node, None))) and held[0] <= version:
                del self.held[(name, node, None)]


WITNESSES = {"PeerRecord": 5, "CapabilityRecord": 1}


def record(raw, context):
    hearing = Hearing(context)
    for held in context.get("held", []):
        try:
            hearing.hear(only_frame(unpack(held)))
        except Refused:
            pass
    frame = only_frame(raw)
    heard = hearing.hear(frame)
    return frame.head() | {"fields": show(frame.message())} | heard


# Section 7.4: peers, and which addresses are dialled.


def innermost(ip):
    if ip.version == 4:
        return ip
    number = int(ip)
    if number >> 32 in (0xFFFF, 0x64FF9B << 64) or (number >> 32 == 0 and number >> 16):
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return ipaddress.IPv4Address((number >> 80) & 0xFFFFFFFF) if number >> 112 == 0x2002 else ip


SPECIAL = """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
2001::/23 2001:db8::/32 3fff::/20"""
SPECIAL = [ipaddress.ip_network(net) for net in SPECIAL.split()]
GLOBAL = ipaddress.ip_network("2000::/3")


def dialable_in(fields):
    """The first address that may be dialled."""
    for address in fields[2]:
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]{1,5})", address)
        try:
            ip, port = ipaddress.ip_address(found[1].strip("[]")), int(found[2])
        except (TypeError, ValueError):
            continue
        if (ip.version == 6) != address.startswith("[") or not 0 < port < 65536:
            continue
        inner = innermost(ip)
        if not any(inner in net for net in SPECIAL) and (inner.version == 4 or inner in GLOBAL):
            return ip
    return None


def networks(ip):
    ip = innermost(ip)
    widths = (32, 24, 16) if ip.version == 4 else (64, 48, 32)
    return [ipaddress.ip_network((ip, width), strict=False) for width in widths]


def shuffled(fields, context):
    hearing = Hearing(context)
    for peer in fields[0][:8]:
        try:
            frame = only_frame(bytes(peer))
            if not frame.light and FRAMES.get(frame.kind, [None])[0] == "PeerRecord":
                hearing.hear(frame)
        except Refused:
            pass
    return {"peers": sorted(node.hex() for _, node, _ in hearing.held), "answered": fields[1]}


def served(fields, sender, context):
    for hosted in fields[0][:32]:
        try:
            offer = opened(hosted[0], {"network": context["network"], "object": "Offer", "signer": sender.hex()})
        except Refused:
            continue
        if offer[5] > context["wall_ms"]:
            yield offer[0]


# Sections 3, 6 and 8: streams.


def stream(raw, context):
    control, admitted, last_seq, frames = context["stream"] == "control", False, 0, []
    while found := cut(raw):
        frame, raw = found
        refuse_unless(not (control and frame.light), "control.light")
        if control and is_record(frame.kind):
            frames.append({"kind": frame.kind, "record" if admitted else "ignored": True})
            continue
        if not frame.light:
            check_directed(frame, context, last_seq)
            last_seq = frame.seq
        name = FRAMES.get(frame.kind, (None,))[0]
        if control and name == "Hello":
            check_hello(frame.message(), context)
            admitted = True
        refuse_unless(admitted or not control, "control.before-hello")
        frames.append({"kind": frame.kind} | ({"payload": frame.payload.hex()} if name else {"dropped": True}))
    return {"frames": frames, "waiting": len(raw)}


# Section 4: signed objects.

OBJECT = b"labman/object/1\0"


def split_object(raw, context):
    refuse_unless(47 + 64 <= len(raw) <= 49_152, "object.length")
    signed, signature = raw[:-64], raw[-64:]
    kind = OBJECTS[context["object"]]
    foreign = signed[:11] != bytes([1]) + kind.to_bytes(2, "big") + net_id(context["network"])
    refuse_unless(not foreign, "object.foreign")
    signer, payload = signed[11:43], signed[47:]
    refuse_unless(int.from_bytes(signed[43:47], "big") == len(payload), "object.length")
    refuse_unless(context.get("signer", signer.hex()) == signer.hex(), "object.signer")
    refuse_unless(signature_holds(signer, OBJECT + signed, signature), "object.signature")
    return signer, payload


def opened(raw, context):
    return content(rule_name(context["object"]), split_object(raw, context)[1])


def an_object(raw, context):
    signer, payload = split_object(raw, context)
    fields = content(rule_name(context["object"]), payload)
    return {"signer": signer.hex(), "hash": hashed(OBJECT, raw[:-64]).hex(), "fields": show(fields)}


# Section 4.1: key rings.


def a_ring(raw, context):
    signer, payload = split_object(raw, {"network": context["network"], "object": "KeyRing"})
    ring = content("key-ring", payload)
    refuse_unless(ring[0] == signer, "ring.root")
    keys = [key[0] for key in ring[2]]
    refuse_unless(len(keys) <= 64 and len(set(keys)) == len(keys) and signer not in keys, "ring.keys")
    refuse_unless(all(key[1] < key[2] for key in ring[2]), "ring.keys")
    return ring


def paper(raw, context):
    ring = a_ring(bytes.fromhex(context["ring"]), context)
    name = context["object"]
    signer, payload = split_object(raw, {"network": context["network"], "object": name})
    says = content(rule_name(name), payload)
    key = next((key for key in ring[2] if key[0] == signer), None)
    refuse_unless(key, "paper.key")
    named = {"JobAuthorization": 12, "Receipt": 17}.get(name)
    refuse_unless(says[0 if name in ("IssuedReceipts", "DisputeDecision") else 1] == ring[0], "paper.names")
    refuse_unless(named is None or says[named] == derived("labman key id 1", signer), "paper.names")

    def certified(at):
        return key[1] <= at < key[2]

    def signs(at):
        return certified(at) and not (3 in key and at >= key[3])

    if name == "JobAuthorization":
        now = context["now_ms"]
        early = now < key[1] and signs(now + 120_000)
        refuse_unless((signs(now) or early) and certified(says[4]), "paper.time")
    else:
        issued = {"Receipt": 16, "ClaimDecision": 5, "IssuedReceipts": 5, "DisputeDecision": 5}
        refuse_unless(signs(says[issued[name]]), "paper.time")
    return {}


def merkle(leaves):
    if len(leaves) == 1:
        return hashed(b"\0", leaves[0])
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashed(b"\1", merkle(leaves[:left]), merkle(leaves[left:]))


# Section 8: transcripts, bodies, counts.


def transcript(raw, context):
    covered = b""
    for length in context["lengths"]:
        covered, raw = covered + length.to_bytes(4, "big") + raw[:length], raw[length:]
    assert not raw
    return {"chunks": len(context["lengths"]), "transcript": hashed(covered).hex()}


LISTED = re.findall(r"any of these(?: fields)?, and nothing else:\n\n((?:`[^`]+`\n?)+)", PROTOCOL)
CHAT, COMPLETION = (fields.replace("`", "").split() for fields in LISTED)
TASKS = {
    "messages": (CHAT, ["messages", "tools", "response_format"]),
    "prompt": (COMPLETION, ["prompt"]),
    "input": ([], ["input"]),
}
PARTS, TEXTS, TEXTS_AT_ONCE = 128, 2048, 16


def is_part(part):
    if not isinstance(part, dict):
        return False
    if part.get("type") in ("text", "refusal"):
        return isinstance(part.get(part["type"]), str)
    url = part.get("image_url")
    url = url.get("url") if isinstance(url, dict) else None
    return part.get("type") == "image_url" and isinstance(url, str) and url.startswith("data:")


def is_message(message):
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        return False
    said = message.get("content")
    return said is None or isinstance(said, str) or (isinstance(said, list) and all(map(is_part, said)))


def is_number(value, end):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def compact(value):
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode())


def is_text(value):
    tokens = isinstance(value, list) and value and all(is_number(token, 2**64) for token in value)
    return isinstance(value, str) or tokens


def body(raw, _):
    try:
        fields = json.loads(raw)
    except ValueError:
        raise Refused("body") from None
    refuse_unless(isinstance(fields, dict), "body")
    named = [name for name in TASKS if name in fields]
    refuse_unless(len(named) == 1, "body")
    about = fields[named[0]]
    passed, read = TASKS[named[0]]
    streams = ["stream", "max_tokens"] if named[0] != "input" else []
    refuse_unless(all(name in [*passed, *streams, named[0]] for name in fields), "body")
    if named[0] == "messages":
        refuse_unless(isinstance(about, list) and about and all(map(is_message, about)), "body")
        prompts = 1
    else:
        texts = [about] if is_text(about) else about
        refuse_unless(isinstance(texts, list) and texts and all(map(is_text, texts)), "body")
        prompts = len(texts)
    if named[0] == "input":
        refuse_unless(prompts <= TEXTS and "" not in texts, "body")
        prompts = -(-prompts // TEXTS_AT_ONCE)
    answers = fields.get("n")
    answers = 1 if answers is None else answers
    refuse_unless(is_number(answers, 2**32) and 0 < answers * prompts <= PARTS, "body")
    most = fields.get("max_tokens") if streams else TEXTS_AT_ONCE
    refuse_unless(is_number(most, 2**32) and most > 0, "body")
    bound = 64
    for name in read:
        if name in fields and named[0] == "messages":
            value = fields[name]
            bound += compact(value) + 64 * (len(value) if isinstance(value, list) else 1)
        elif name in fields:
            bound += sum((len(text) if isinstance(text, list) else compact(text)) + 64 for text in texts)
    if answers > 1:
        refuse_unless(answers * sum(compact(fields[name]) for name in read if name in fields) <= 4 * 2**20, "body")
    most = min(most * answers * prompts, 2**32 - 1)
    return {"input_bound": bound, "max_tokens": most, "body_hash": hashed(raw).hex()}


def accepted_counts(raw, context):
    stated = content("counts", raw)
    tokens = min(stated[2], context["max_tokens"], context["authorized_output"], context["text_bytes"])
    taken = min(stated[0], context["input_bound"])
    return show({0: taken, 1: min(stated[1], taken), 2: tokens})


# The vectors.


def signature(raw, context):
    signer, message = bytes.fromhex(context["signer"]), bytes.fromhex(context["message"])
    refuse_unless(signature_holds(signer, message, raw), "signature")
    return {}


def cbor(raw, _):
    check_cbor(raw)
    return {}


ASKED = {
    "cbor": cbor,
    "directed": directed,
    "record": record,
    "light": light,
    "stream": stream,
    "object": an_object,
    "ring": lambda raw, context: a_ring(raw, context) and {},
    "paper": paper,
    "signature": signature,
    "derive": lambda raw, context: {"value": derive(context["derive"], raw).hex()},
    "id-text": lambda raw, _: {"id": read_id(raw.decode()).hex()},
    "merkle": lambda raw, _: {"root": merkle([raw[at : at + 16] for at in range(0, len(raw), 16)]).hex()},
    "transcript": transcript,
    "body": body,
    "accepted-counts": accepted_counts,
}
SIGNED = {"directed", "record", "object", "ring", "paper", "signature"}


def unpack(text):
    """Hex, in which `{n:xx}` stands for n times the byte xx."""
    return bytes.fromhex(re.sub(r"\{(\d+):(..)\}", lambda run: run[2] * int(run[1]), text))


def verdict(vector, raw):
    try:
        return {"accept": ASKED[vector["what"]](raw, vector.get("context", {}))}
    except Refused as refused:
        return {"reject": str(refused)}


def flipped(vector, raw):
    """Which bytes can be changed so that it is accepted all the same."""
    for at in range(len(raw)):
        bent = bytearray(raw)
        bent[at] ^= 1 << (at % 8)
        if "accept" in verdict(vector, bytes(bent)):
            yield at


def main(arguments):
    flip = "--flip" in arguments
    files = [pathlib.Path(name) for name in arguments if name != "--flip"] or sorted(HERE.glob("*.json"))
    passed, failed = 0, 0
    for file in files:
        before = passed + failed
        for vector in json.loads(file.read_text(encoding="utf-8"))["vectors"]:
            raw = unpack(vector["input"])
            try:
                said = verdict(vector, raw)
                wrong = [] if said == vector["expect"] else [f"{said}, not {vector['expect']}"]
                # Long ones are padding, byte after byte.
                if flip and vector["what"] in SIGNED and "accept" in vector["expect"] and len(raw) < 8_192:
                    wrong += [f"byte {at} may be changed" for at in flipped(vector, raw)]
            except Exception as error:  # A defect here, or a vector that is none: both are failures of the vector.
                wrong = [f"{type(error).__name__}: {error}"]
            passed, failed = passed + (not wrong), failed + bool(wrong)
            for what in wrong:
                print(f"{file.name}: {vector['name']}: {what}")
        print(f"{file.name}: {passed + failed - before} vectors")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
