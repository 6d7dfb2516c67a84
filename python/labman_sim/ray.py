"""Sweeps on a Ray cluster: each task runs a shard of the plan, and the rows come back in the plan's order.

What a run comes to depends on scenario, seed and build alone, so the rows are those of one process.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import labman_sim

__all__ = ["sweep"]


def sweep(path: str | os.PathLike[str], *, shards: int | None = None, frame: str = "pandas", **how: Any) -> Any:
    """As `labman_sim.sweep`, on the cluster that `ray.init` connected to.

    `shards`: so many tasks [default: two for each of the cluster's cores]. Each takes one core; the scenario's text travels
    with it, so workers need no shared disk, but the same version of this package.
    """
    import pyarrow
    import ray

    shards = shards or 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    shard = ray.remote(num_cpus=1)(_shard)
    text = Path(path).read_text(encoding="utf-8")
    tasks = [shard.remote(Path(path).name, text, labman_sim.BUILD, {**how, "shard": (k, shards)}) for k in range(1, shards + 1)]
    tables = [table for table in ray.get(tasks) if table.num_rows]
    rows = pyarrow.concat_tables(tables, promote_options="permissive").sort_by([("point", "ascending"), ("run", "ascending")])
    if frame == "arrow":
        return rows
    if frame == "polars":
        import polars

        return polars.from_arrow(rows)
    return rows.to_pandas()


def _shard(name: str, text: str, build: str, how: dict[str, Any]) -> Any:
    import pyarrow

    if labman_sim.BUILD != build:
        raise RuntimeError(f"this worker has build {labman_sim.BUILD}, the driver {build}: install the same on both")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_text(text, encoding="utf-8")
        return pyarrow.Table.from_batches([labman_sim.sweep(path, frame="arrow", jobs=1, **how)])
