"""What must not type-check: strict mypy fails wherever what is ignored here is no error. It is never run."""

import pandas

import labman_sim
import labman_sim.ray

labman_sim.sweep("fees.toml", sedes=3)  # type: ignore[call-overload]
labman_sim.sweep("fees.toml", seeds="3")  # type: ignore[call-overload]
labman_sim.sweep("fees.toml", frame="csv")  # type: ignore[call-overload]
labman_sim.sweep("fees.toml", grid={"duration": 5})  # type: ignore[dict-item]
labman_sim.sweep("fees.toml", latin={"duration": ("5m", "9m", "1h")})  # type: ignore[dict-item]
labman_sim.sweep("fees.toml", list=[["duration", "5m"]])  # type: ignore[list-item]
labman_sim.sweep("fees.toml", shards=8)  # type: ignore[call-overload]
frame: pandas.DataFrame = labman_sim.sweep("fees.toml", frame="arrow")  # type: ignore[assignment]

labman_sim.ray.sweep("fees.toml", sedes=3)  # type: ignore[call-overload]
labman_sim.ray.sweep("fees.toml", jobs=2)  # type: ignore[call-overload]
labman_sim.ray.sweep("fees.toml", frame="csv")  # type: ignore[call-overload]
frame = labman_sim.ray.sweep("fees.toml", frame="polars")  # type: ignore[assignment]

labman_sim.run("fees.toml", sed=7)  # type: ignore[call-arg]
labman_sim.run("fees.toml", overrides={"duration": object()})  # type: ignore[dict-item]
