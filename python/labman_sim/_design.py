"""What a sweep varies, and the plan that it makes: `labman_sim.sweep` and `labman_sim.ray.sweep` take the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Union

from . import _native
from ._values import Value, sets, toml, varied

if TYPE_CHECKING:
    from typing_extensions import Unpack

Bound = Union[int, float, str]


class Design(TypedDict, total=False):
    """The keywords of a sweep, wherever it runs."""

    seeds: int
    first_seed: int
    grid: Mapping[str, Iterable[Value]] | None
    list: Iterable[Mapping[str, Value]] | str | os.PathLike[str] | None
    zip: Mapping[str, Iterable[Value]] | None
    latin: Mapping[str, tuple[Bound, Bound]] | None
    points: int | None
    design_seed: int
    overrides: Mapping[str, Value] | None


def plan(path: str | os.PathLike[str], **design: Unpack[Design]) -> Callable[[], _native.Plan]:
    """What makes the plan, on this machine or on another: it can be pickled, and reads no file any more."""
    for name in design:
        if name not in Design.__annotations__:
            raise TypeError(f"sweep() got an unexpected keyword argument {name!r}")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{os.fspath(path)}: {getattr(error, 'strerror', None) or error}") from error
    return partial(
        _native.Plan,
        os.fspath(path),
        text,
        seeds=design.get("seeds", 30),
        first_seed=design.get("first_seed", 1),
        grid=varied(design.get("grid")),
        list=_listed(design.get("list")),
        zip=varied(design.get("zip")),
        latin=varied(design.get("latin")),
        points=design.get("points"),
        design_seed=design.get("design_seed", 1),
        overrides=sets(design.get("overrides")),
    )


def _listed(
    points: Iterable[Mapping[str, Value]] | str | os.PathLike[str] | None,
) -> tuple[str, list[str], list[list[str]]] | None:
    """What errors call it, paths, and a value for each of them at each point."""
    if points is None:
        return None
    if isinstance(points, (str, os.PathLike)):
        return _native.listed(points)
    rows = [*points]
    if not rows or not rows[0]:
        raise ValueError('list: there is no point: write [{"fep.fees.fep_bps": 50}, ...]')
    paths = [*rows[0]]
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise ValueError(f"list: point {number} gives values to {', '.join(row)}, the first to {', '.join(paths)}")
    return "--list", paths, [[toml(row[path]) for path in paths] for row in rows]
