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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from . import _design, _frames, _native, _values
from ._values import Value

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    from typing_extensions import Unpack

BUILD: str = _native.BUILD
"""The version, and a hash of the sources that decide what a run comes to."""

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

    def jobs(self) -> pandas.DataFrame:
        """A row a job: who asked, who served, how long it took (microseconds)."""
        import pandas

        jobs: pandas.DataFrame = pandas.DataFrame.from_records(self.report["outcomes"])
        return jobs


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
    text, named = _native.run(os.fspath(path), seed, _values.sets(overrides))
    report = json.loads(text)
    return Run(seed, not report["failures"], report["failures"], report["trace_hash"], named, report)


class _How(_design.Design, total=False):
    """The keywords of a sweep in this process."""

    jobs: int | None
    shard: tuple[int, int] | None
    progress: Callable[[int, int], object] | None


@overload
def sweep(path: str | os.PathLike[str], *, frame: Literal["pandas"] = ..., **how: Unpack[_How]) -> pandas.DataFrame: ...
@overload
def sweep(path: str | os.PathLike[str], *, frame: Literal["polars"], **how: Unpack[_How]) -> polars.DataFrame: ...
@overload
def sweep(path: str | os.PathLike[str], *, frame: Literal["arrow"], **how: Unpack[_How]) -> pyarrow.RecordBatch: ...
def sweep(
    path: str | os.PathLike[str],
    *,
    frame: _frames.Frame = "pandas",
    jobs: int | None = None,
    shard: tuple[int, int] | None = None,
    progress: Callable[[int, int], object] | None = None,
    **design: Unpack[_design.Design],
) -> _frames.Table:
    """Run a scenario over many seeds and settings; a row a run, in the order of settings and then of seeds.

    `seeds=30` from `first_seed=1` on: each setting gets the same. A run that failed is a row, with its `error`.
    `overrides`: what is changed at every setting.

    Settings are all combinations of what these say, and mean what the options of `labman-sim sweep` do:
    `grid`: every combination of these values.
    `list`: these points, each a dict of paths and values; or the file of a CSV table with paths as its header.
    `zip`: the first of each of these values together, then the second of each.
    `latin`: so many `points` of a Latin hypercube, with values between bounds, `{"fep.fees.fep_bps": (0, 500)}`, in
    the steps in which these are written; drawn from `design_seed=1`.

    `frame`: "pandas", "polars" or "arrow".
    `jobs`: so many runs at a time, as many as there are cores by default; the rows don't depend on it.
    `shard=(k, n)`: of all runs every n-th, from the k-th (from 1).
    `progress(done, of)` is called as runs end, on the calling thread; what it raises ends the sweep, as Ctrl-C does.
    """
    framed = _frames.maker(frame)
    planned = _design.plan(path, **design)()
    return framed(planned.rows([planned.run(jobs, shard, progress)]))
