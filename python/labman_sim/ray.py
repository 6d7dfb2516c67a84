"""Sweeps on a Ray cluster: each task runs a shard of the plan, and the rows come back in the plan's order.

What a run comes to depends on scenario, seed and build alone, so the rows are those of one process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, overload

import labman_sim

from . import _design, _frames, _native

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    from typing_extensions import Unpack

__all__ = ["sweep"]


class _How(_design.Design, total=False):
    """The keywords of a sweep on a cluster."""

    shards: int | None


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
    shards: int | None = None,
    **design: Unpack[_design.Design],
) -> _frames.Table:
    """As `labman_sim.sweep`, on the cluster that `ray.init` connected to.

    `shards`: so many tasks of one core each [default: two for each of the cluster's cores]. The scenario's text travels with
    them, and so do the points of a `list`: workers need no shared disk, but the same build of this package.
    """
    import ray

    framed = _frames.maker(frame)
    make = _design.plan(path, **design)
    # What is wrong with the plan is said here, and not by a worker.
    whole = make()
    cores = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    shards = shards or 2 * max(1, int(cores))
    task = ray.remote(num_cpus=1)(_shard)
    parts = ray.get([task.remote(make, labman_sim.BUILD, (k, shards)) for k in range(1, shards + 1)])
    return framed(whole.rows(parts))


def _shard(make: Callable[[], _native.Plan], build: str, shard: tuple[int, int]) -> bytes:
    if labman_sim.BUILD != build:
        raise RuntimeError(f"this worker has build {labman_sim.BUILD}, the driver {build}: install the same on both")
    return make().run(1, shard, None)
