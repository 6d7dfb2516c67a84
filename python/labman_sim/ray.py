"""Sweeps on a Ray cluster: each task runs a shard of the plan, and the rows come back in the plan's order.

What a run comes to depends on scenario, seed and build alone, so the rows are those of one process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import labman_sim

__all__ = ["sweep"]


def sweep(path: str | os.PathLike[str], *, shards: int | None = None, frame: str = "pandas", **plan: Any) -> Any:
    """As `labman_sim.sweep`, on the cluster that `ray.init` connected to.

    `shards`: so many tasks of one core each [default: two for each of the cluster's cores]. The scenario's text travels with
    them, so workers need no shared disk, but the same build of this package.
    """
    import ray

    shards = shards or 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    # What is wrong with the plan is said here, and not by a worker.
    whole = labman_sim._plan(path, **plan)
    made = (os.fspath(path), Path(path).read_text(encoding="utf-8"), plan)
    task = ray.remote(num_cpus=1)(_shard)
    parts = ray.get([task.remote(made, labman_sim.BUILD, (k, shards)) for k in range(1, shards + 1)])
    return labman_sim._frame(whole.rows(parts), frame)


def _shard(made: tuple[str, str, dict[str, Any]], build: str, shard: tuple[int, int]) -> bytes:
    if labman_sim.BUILD != build:
        raise RuntimeError(f"this worker has build {labman_sim.BUILD}, the driver {build}: install the same on both")
    name, text, plan = made
    return labman_sim._plan_of(name, text, **plan).run(1, shard, None)
