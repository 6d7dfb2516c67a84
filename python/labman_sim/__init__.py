"""labman's simulator: economic scenarios on the machines that operators run.

>>> import labman_sim
>>> run = labman_sim.run("scenarios/first-light.toml", seed=7)
>>> run.figures["jobs.completed"]
>>> frame = labman_sim.sweep("scenarios/market/fees.toml", seeds=30, grid={"fep.fees.fep_bps": [0, 500, 2000]})

A run depends on the scenario, the seed and the build alone: `BUILD` names that.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterable, Literal, Mapping, Sequence, Union, overload

from . import _native

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

BUILD: str = _native.BUILD
"""The version, and a hash of the sources that decide what a run comes to."""

Value = Union[bool, int, float, str, Sequence["Value"], Mapping[str, "Value"]]
"""What a place in a scenario may hold: text stands for text, times and money ("250ms", "0.20")."""

FRAMES = ("pandas", "polars", "arrow")

__all__ = ["BUILD", "Difference", "Estimate", "Run", "Value", "difference", "estimate", "figures", "gini", "quantile", "run", "sweep"]


@dataclass(frozen=True)
class Run:
    """What one run came to."""

    seed: int
    passed: bool
    failures: list[str]
    """What the checkers found, and expectations and oracles that did not hold."""
    trace_hash: str
    """The same for two runs in which the same happened."""
    figures: dict[str, int]
    """By name, as `labman-sim explain` tells them. Money is in micro-units."""
    report: dict[str, Any] = field(repr=False)
    """The whole report, as `labman-sim run --json` prints it."""

    def jobs(self) -> "pandas.DataFrame":
        """A row a job: who asked, who served, how long it took (microseconds)."""
        import pandas

        return pandas.DataFrame.from_records(self.report["outcomes"])


@dataclass(frozen=True)
class Estimate:
    """What a sample says of the mean of what it was drawn from. Of a single value there is no deviation and no interval."""

    mean: float
    deviation: float | None
    """Sample standard deviation (n - 1)."""
    low: float | None
    high: float | None
    """Ends of the 95 % interval, by Student's t."""


@dataclass(frozen=True)
class Difference(Estimate):
    """The same of differences within pairs."""

    p: float | None
    """Two-sided, of the paired t test."""


def estimate(values: Iterable[float]) -> Estimate:
    """Mean and 95 % interval, as `labman-sim` tells them."""
    return Estimate(*_native.estimate(list(map(float, values))))


def difference(before: Iterable[float], after: Iterable[float]) -> Difference:
    """Of `after - before`, pair by pair: with the same seeds, what both share cancels."""
    known, p = _native.difference(list(map(float, before)), list(map(float, after)))
    return Difference(*known, p)


def quantile(values: Iterable[float], q: float) -> float:
    """By linear interpolation, as NumPy's default."""
    return _native.quantile(list(map(float, values)), q)


def gini(values: Iterable[float]) -> float:
    """0 where all have the same, towards 1 where one has all."""
    return _native.gini(list(map(float, values)))


def figures() -> list[str]:
    """The names of all figures that a run may have."""
    return _native.figures()


def run(path: str | os.PathLike[str], seed: int = 1, overrides: Mapping[str, Value] | None = None) -> Run:
    """Run a scenario once. Other Python threads go on meanwhile.

    `overrides` changes the scenario first: `{"fep.fees.fep_bps": 50, "duration": "5m"}`.
    Raises ValueError, which names the place, if the scenario can't be read.
    """
    text, named = _native.run(os.fspath(path), seed, _sets(overrides))
    report = json.loads(text)
    return Run(seed, not report["failures"], report["failures"], report["trace_hash"], named, report)


@overload
def sweep(path: str | os.PathLike[str], *, frame: Literal["pandas"] = ..., **how: Any) -> "pandas.DataFrame": ...
@overload
def sweep(path: str | os.PathLike[str], *, frame: Literal["polars"], **how: Any) -> "polars.DataFrame": ...
@overload
def sweep(path: str | os.PathLike[str], *, frame: Literal["arrow"], **how: Any) -> "pyarrow.RecordBatch": ...
def sweep(
    path: str | os.PathLike[str],
    *,
    seeds: int = 30,
    first_seed: int = 1,
    grid: Mapping[str, Sequence[Value]] | None = None,
    zip: Mapping[str, Sequence[Value]] | None = None,
    overrides: Mapping[str, Value] | None = None,
    jobs: int | None = None,
    shard: tuple[int, int] | None = None,
    progress: Callable[[int, int], object] | None = None,
    frame: Literal["pandas", "polars", "arrow"] = "pandas",
) -> Any:
    """Run a scenario over many seeds and settings; a row a run, in the order of settings and then of seeds.

    `grid`: every combination of these values. `zip`: the first of each together, then the second of each.
    Each setting gets the same seeds. A run that failed is a row, with its `error`.
    `jobs`: so many runs at a time, as many as there are cores by default; the rows don't depend on it.
    `shard=(k, n)`: of all runs every n-th, from the k-th (from 1).
    `progress(done, of)` is called as runs end, on the calling thread; what it raises ends the sweep, as Ctrl-C does.
    """
    plan = _plan(path, seeds=seeds, first_seed=first_seed, grid=grid, zip=zip, overrides=overrides)
    rows = plan.rows([plan.run(jobs, shard, progress)])
    return _frame(rows, frame)


def _plan(path: str | os.PathLike[str], **plan: Any) -> _native.Plan:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{os.fspath(path)}: {getattr(error, 'strerror', None) or error}") from error
    return _plan_of(os.fspath(path), text, **plan)


def _plan_of(
    name: str,
    text: str,
    *,
    seeds: int = 30,
    first_seed: int = 1,
    grid: Mapping[str, Sequence[Value]] | None = None,
    zip: Mapping[str, Sequence[Value]] | None = None,
    overrides: Mapping[str, Value] | None = None,
) -> _native.Plan:
    return _native.Plan(name, text, seeds, first_seed, _values(grid), _values(zip), _sets(overrides))


def _frame(rows: Any, frame: str) -> Any:
    if frame not in FRAMES:
        raise ValueError(f"frame={frame!r}: write {', '.join(FRAMES)}")
    if frame == "polars":
        import polars

        return polars.DataFrame(rows)
    import pyarrow

    batch = pyarrow.record_batch(rows)
    return batch if frame == "arrow" else batch.to_pandas()


def _sets(overrides: Mapping[str, Value] | None) -> list[tuple[str, str]]:
    return [(path, _toml(value)) for path, value in (overrides or {}).items()]


def _values(varied: Mapping[str, Sequence[Value]] | None) -> list[tuple[str, list[str]]]:
    return [(path, [_toml(value) for value in values]) for path, values in (varied or {}).items()]


def _toml(value: Value, inside: bool = False) -> str:
    """As `--set` takes it: text as it is, all else as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if inside else value
    if hasattr(value, "item"):  # a scalar of NumPy's
        return _toml(value.item(), inside)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(key, ensure_ascii=False)} = {_toml(one, True)}" for key, one in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_toml(one, True) for one in value) + "]"
    raise ValueError(f"{value!r} is nothing that a scenario holds: write text, a number, a list or a dict")
