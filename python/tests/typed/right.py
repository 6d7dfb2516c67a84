"""What a researcher may write: strict mypy has nothing to say of it. It is never run."""

from pathlib import Path

import numpy
import pandas
import polars
import pyarrow
from typing_extensions import assert_type

import labman_sim
import labman_sim.ray

FEE = "fep.fees.fep_bps"

run = labman_sim.run("fees.toml", seed=7, overrides={FEE: 50, "latency.mesh": {"uniform": ["5ms", "9ms"]}})
assert_type(run.figures["jobs.completed"], int)
assert_type(run.jobs(), pandas.DataFrame)

rows = labman_sim.sweep("fees.toml")
assert_type(rows, pandas.DataFrame)
assert_type(labman_sim.estimate(rows["money.earned"]), labman_sim.Estimate)
assert_type(labman_sim.difference([1, 2], numpy.array([2.0, 4.0])).p, float | None)

assert_type(labman_sim.sweep("fees.toml", frame="polars"), polars.DataFrame)
assert_type(labman_sim.sweep(Path("fees.toml"), frame="arrow"), pyarrow.RecordBatch)
assert_type(labman_sim.ray.sweep("fees.toml", seeds=300, shards=8), pandas.DataFrame)
assert_type(labman_sim.ray.sweep("fees.toml", frame="polars"), polars.DataFrame)
assert_type(labman_sim.ray.sweep("fees.toml", frame="arrow"), pyarrow.RecordBatch)

labman_sim.sweep("fees.toml", seeds=3, first_seed=9, grid={FEE: numpy.arange(3)}, overrides={"duration": "5m"})
labman_sim.sweep("fees.toml", zip={FEE: [0, 50], "duration": ("5m", "9m")}, list=Path("points.csv"))
labman_sim.sweep("fees.toml", list=[{FEE: 0, "duration": "5m"}, {FEE: 50, "duration": "9m"}], jobs=2, shard=(1, 8))
labman_sim.ray.sweep("fees.toml", latin={FEE: (0, 500), "duration": ("5m", "9m")}, points=20, design_seed=3)
