"""Names that may not stand in the core's code. Comments and what is under #[cfg(test)] are left out."""

import pathlib
import re
import sys

BANNED = re.compile(r"\btokio\b|\bstd::(time|net|fs)\b|\brand::rng\b|\bHash(Map|Set)\b")


def code_of(text):
    """The lines of code with their numbers: no comments, no item that #[cfg(test)] stands before."""
    depth, skip_until, pending = 0, None, False
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        code = re.sub(r"'(\\.|[^'\\])'", "' '", code).split("//")[0]
        if skip_until is None and "#[cfg(test)]" in code:
            pending = True
            continue
        opens, closes = code.count("{"), code.count("}")
        if pending and code.strip():
            pending = code.strip().startswith("#[")
            if not pending and opens > closes:
                skip_until = depth
            depth += opens - closes
            continue
        depth += opens - closes
        if skip_until is not None:
            if depth <= skip_until:
                skip_until = None
            continue
        yield number, code


def test_only_modules(root):
    """Files that are declared as `#[cfg(test)] mod name;`."""
    for path in root.rglob("*.rs"):
        folder = path.parent if path.stem in ("lib", "mod") else path.parent / path.stem
        for name in re.findall(r"#\[cfg\(test\)\]\s*(?:pub(?:\([a-z]+\))? )?mod (\w+);", path.read_text()):
            yield folder / f"{name}.rs"
            yield from (folder / name).rglob("*.rs")


def main():
    root = pathlib.Path(sys.argv[1])
    tests, found, files = set(test_only_modules(root)), 0, 0
    for path in sorted(set(root.rglob("*.rs")) - tests):
        files += 1
        for number, code in code_of(path.read_text()):
            if BANNED.search(code):
                found += 1
                print(f"{path}:{number}: {code.strip()}")
    print(f"{files} files of the core, {found} impure lines")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
