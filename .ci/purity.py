"""Names that may not stand in the core's code. Comments, literals and what is under #[cfg(test)] are left out.

Rust is read token by token, so that no spelling of a path and no literal hides a name. SELF_TEST runs each time.
"""

import pathlib
import re
import sys

# The core has no std; what these stand for (a clock, chance, hash order, effects) is passed in.
BANNED = {"std", "tokio", "rand", "getrandom", "hashbrown", "HashMap", "HashSet", "SystemTime", "Instant"}

TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*)
      | (?P<block>/\*)
      | (?P<raw>(?:r|br|cr)(?P<hashes>\#*)")
      | (?P<text>[bc]?"(?:\\.|[^"\\])*")
      | (?P<char>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\])')
      | (?P<lifetime>'\w+)
      | (?P<name>(?:r\#)?[^\W\d]\w*)
      | (?P<number>\d\w*)
      | (?P<sign>[^"'])""",
    re.VERBOSE | re.DOTALL,
)
OPEN, CLOSE = {"{", "(", "["}, {"}", ")", "]"}
CFG_TEST = ["#", "[", "cfg", "(", "test", ")", "]"]


class Unreadable(Exception):
    pass


def tokens(text):
    """The names and signs of a file with their lines. A literal is one token, without its content."""
    found, at, line = [], 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise Unreadable(f"line {line}: a literal without an end")
        kind, end = match.lastgroup, match.end()
        if match["block"]:
            end = block_comment_end(text, at, line)
        elif match["raw"]:
            end = text.find('"' + match["hashes"], end)
            if end < 0:
                raise Unreadable(f"line {line}: a raw string without an end")
            end += 1 + len(match["hashes"])
        if match["name"]:
            found.append((line, match["name"].removeprefix("r#")))
        elif match["sign"]:
            found.append((line, match["sign"]))
        elif kind not in ("blank", "block"):
            found.append((line, '""'))
        line += text.count("\n", at, end)
        at = end
    return found


def block_comment_end(text, at, line):
    """Block comments nest."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return at + mark.end()
    raise Unreadable(f"line {line}: a comment without an end")


def group_end(words, at):
    """Just behind the bracket that closes the one at `at`."""
    depth = 0
    for behind in range(at, len(words)):
        depth += (words[behind] in OPEN) - (words[behind] in CLOSE)
        if depth == 0:
            return behind + 1
    return len(words)


def item_end(words, at):
    """Just behind the item (or field, or statement) that begins at `at`, its attributes included."""
    while words[at : at + 2] == ["#", "["]:
        at = group_end(words, at + 1)
    start = at + 1 if words[at : at + 1] == ["pub"] else at
    if start > at and words[start : start + 1] == ["("]:
        start = group_end(words, start)
    head = words[start : start + 2]
    to_semicolon = head[:1] in (["use"], ["static"], ["type"], ["let"]) or head == ["extern", "crate"]
    to_semicolon |= head[:1] == ["const"] and head[1:] not in (["fn"], ["unsafe"], ["async"], ["extern"])
    has_commas = to_semicolon or head[0] in (
        ["mod", "fn", "impl", "struct", "enum", "trait", "union", "unsafe", "async", "const", "extern"]
    )
    at = start
    while at < len(words) and words[at] not in CLOSE:
        if words[at] == ";" or (words[at] == "," and not has_commas):
            return at + 1
        block = words[at] == "{"
        at = group_end(words, at) if words[at] in OPEN else at + 1
        if block and not to_semicolon:
            return at
    return at


def code_of(text):
    """The tokens that are no test's, and the names of modules that are declared as tests elsewhere."""
    found = tokens(text)
    words = [word for _, word in found]
    kept, modules, at = [], [], 0
    while at < len(words):
        if words[at : at + 8] == ["#", "!", *CFG_TEST[1:]]:
            return kept, modules
        if words[at : at + 7] == CFG_TEST:
            end = item_end(words, at + 7)
            if words[end - 3 : end - 2] == ["mod"] and words[end - 1] == ";":
                modules.append(words[end - 2])
            at = end
        else:
            kept.append(found[at])
            at += 1
    return kept, modules


def impure_lines(text):
    return sorted({line for line, word in code_of(text)[0] if word in BANNED})


def test_only_files(root):
    """Files that are declared as `#[cfg(test)] mod name;`."""
    for path in root.rglob("*.rs"):
        folder = path.parent if path.stem in ("lib", "mod") else path.parent / path.stem
        for name in code_of(path.read_text())[1]:
            yield folder / f"{name}.rs"
            yield from (folder / name).rglob("*.rs")


# Source, and the lines of it that are impure.
SELF_TEST = [
    ("use std::{time::Instant, collections::BTreeMap};", [1]),
    ("use std::{fs, net};", [1]),
    ("use std::{\n    collections::BTreeMap,\n    time::{Duration, Instant},\n};", [1, 3]),
    ("use rand::{rng, Rng};", [1]),
    ("use std as s;", [1]),
    ("use ::std::fs;", [1]),
    ("use r#std::fs;", [1]),
    ("extern crate std;", [1]),
    ("extern crate std as core2;", [1]),
    ("fn f() { std::env::var(x); }", [1]),
    ("fn f() {\n    std :: thread :: spawn(g);\n}", [2]),
    ("fn f() { std\n::time\n::Instant::now() }", [1, 3]),
    ("fn f() -> u8 { rand::random() }", [1]),
    ("fn f() { let mut r = rand::thread_rng(); }", [1]),
    ("fn f() { getrandom::fill(&mut b); }", [1]),
    ("use hashbrown::HashMap as BTreeMap;", [1]),
    ("async fn f() { tokio::time::sleep(d).await }", [1]),
    ("type T = HashSet<u8>; type U = SystemTime;", [1]),
    # What is a literal or a comment, and what only looks like one.
    ("let c = '\"'; std::fs::read(p); let d = '\"';", [1]),
    ("let c = b'\"'; std::fs::read(p);", [1]),
    ("let c = '\\''; std::fs::read(p); let d = '\\'';", [1]),
    ("let c = '\\u{27}'; std::fs::read(p);", [1]),
    ('let s = r"\\"; std::fs::read(p); let t = "";', [1]),
    ('let s = r#"a " std "#; std::fs::read(p);', [1]),
    ('let s = r#"a " std "#; ok();', []),
    ('let s = br"std\\"; ok();', []),
    ('let s = "std::fs // \\" std"; ok(); // std', []),
    ('/* "x // */ std::fs::read(p);', [1]),
    ("/* a /* b */ std */ ok();", []),
    ("/* a /* b */ std */ std::fs::read(p);", [1]),
    ('let s = "/*"; std::fs::read(p); let t = "*/";', [1]),
    ("fn f<'a>(x: &'a str, y: &'a str) { std::mem::drop(x) }", [1]),
    ("/// std::fs\nfn f() {}", []),
    ("#[doc = \"std\"]\nfn f() {}", []),
    ("let standard = my_rand(instant);", []),
    # What is a test, and where it ends.
    ("#[cfg(test)] use std::vec;\nfn f() { std::fs::read(p); }", [2]),
    ("#[cfg(test)] use std::{vec, fs};\nuse std::io;", [2]),
    ("#[cfg(test)] extern crate std;\nuse std::io;", [2]),
    ("#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests;\nuse std::io;", [4]),
    ("#[cfg(test)] const A: [u8; 1] = { std::x() };\nuse std::io;", [2]),
    ("#[cfg(test)] const fn f() { std::x() }\nuse std::io;", [2]),
    ("#[cfg(test)] impl<A, B> C<A, B> for D { fn f() { std::x() } }\nuse std::io;", [2]),
    ("struct A { #[cfg(test)] b: std::B, c: std::C }", [1]),
    ("struct A {\n    #[cfg(test)] b: std::B,\n    c: std::C,\n}", [3]),
    ("mod a {\n    #[cfg(test)] fn f() {}\n}\nuse std::io;", [4]),
    ('#[cfg(test)]\nmod tests {\n    const A: &str = "\n{\n";\n    use std::io;\n}\nuse std::io;', [8]),
    ('#[cfg(test)]\nmod tests {\n    const A: char = \'{\';\n    // {\n}\nuse std::io;', [6]),
    ("#[cfg(not(test))]\nuse std::io;", [2]),
    ("#[cfg(any(test, feature = \"x\"))]\nuse std::io;", [2]),
    ("#![cfg(test)]\nuse std::io;", []),
]


def self_test():
    for source, expected in SELF_TEST:
        found = impure_lines(source)
        if found != expected:
            sys.exit(f"this check is broken: lines {expected} of this are impure, it finds {found}:\n{source}")


def main():
    self_test()
    root = pathlib.Path(sys.argv[1])
    tests, found, files = set(test_only_files(root)), 0, 0
    for path in sorted(set(root.rglob("*.rs")) - tests):
        files += 1
        text = path.read_text()
        try:
            lines = impure_lines(text)
        except Unreadable as why:
            sys.exit(f"{path}: {why}")
        for number in lines:
            found += 1
            print(f"{path}:{number}: {text.splitlines()[number - 1].strip()}")
    print(f"{files} files of the core, {found} impure lines")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
