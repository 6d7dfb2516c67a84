from collections.abc import Callable
from os import PathLike
from typing import final

__all__ = ["BUILD", "Plan", "Rows", "difference", "estimate", "figures", "gini", "listed", "quantile", "run"]

BUILD: str

_Known = tuple[float, float | None, float | None, float | None]
_Varied = list[tuple[str, list[str]]]
_Listed = tuple[str, list[str], list[list[str]]]

@final
class Rows:
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...
    def __len__(self) -> int: ...

def run(path: str | PathLike[str], seed: int, overrides: list[tuple[str, str]]) -> tuple[str, dict[str, int]]: ...
def figures() -> list[str]: ...
def listed(path: str | PathLike[str]) -> _Listed: ...
def estimate(values: list[float]) -> _Known: ...
def difference(before: list[float], after: list[float]) -> tuple[_Known, float | None]: ...
def quantile(values: list[float], q: float) -> float: ...
def gini(values: list[float]) -> float: ...
@final
class Plan:
    def __new__(
        cls,
        name: str,
        text: str,
        seeds: int,
        first_seed: int,
        grid: _Varied,
        list: _Listed | None,
        zip: _Varied,
        latin: _Varied,
        points: int | None,
        design_seed: int,
        overrides: list[tuple[str, str]],
    ) -> Plan: ...
    def __len__(self) -> int: ...
    def run(
        self,
        jobs: int | None,
        shard: tuple[int, int] | None,
        progress: Callable[[int, int], object] | None,
    ) -> bytes: ...
    def rows(self, parts: list[bytes]) -> Rows: ...
