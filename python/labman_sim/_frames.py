"""Rows as the data frame that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

from . import _native

if TYPE_CHECKING:
    from typing import Union

    import pandas
    import polars
    import pyarrow

    Table = Union[pandas.DataFrame, polars.DataFrame, pyarrow.RecordBatch]

Frame = Literal["pandas", "polars", "arrow"]


def maker(frame: Frame) -> Callable[[_native.Rows], Table]:
    """To be asked for before anything runs, so that a package that is missing is told of then."""
    if frame == "polars":
        import polars

        return polars.DataFrame
    if frame not in get_args(Frame):
        raise ValueError(f"frame={frame!r}: write {', '.join(get_args(Frame))}")
    import pyarrow

    if frame == "arrow":
        return pyarrow.record_batch
    return lambda rows: pyarrow.record_batch(rows).to_pandas()
