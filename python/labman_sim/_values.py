"""Values of Python as the text that a scenario holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Union

Value = Union[bool, int, float, str, Sequence["Value"], Mapping[str, "Value"]]
"""What a place in a scenario may hold: text stands for text, times and money ("250ms", "0.20")."""


def sets(overrides: Mapping[str, Value] | None) -> list[tuple[str, str]]:
    return [(path, toml(value)) for path, value in (overrides or {}).items()]


def varied(values: Mapping[str, Iterable[Value]] | None) -> list[tuple[str, list[str]]]:
    return [(path, [toml(value) for value in each]) for path, each in (values or {}).items()]


def toml(value: Value, inside: bool = False) -> str:
    """As `--set` takes it: text as it is, all else as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if inside else value
    if hasattr(value, "item"):  # a scalar of NumPy's
        return toml(value.item(), inside)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(key, ensure_ascii=False)} = {toml(one, True)}" for key, one in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(toml(one, True) for one in value) + "]"
    raise ValueError(f"{value!r} is nothing that a scenario holds: write text, a number, a list or a dict")
