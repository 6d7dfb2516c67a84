from typing import Any, Callable, Optional

BUILD: str

class Rows:
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]: ...
    def __len__(self) -> int: ...

def run(path: str, seed: int, overrides: list[tuple[str, str]]) -> tuple[str, dict[str, int]]: ...
def figures() -> list[str]: ...
def sweep(
    path: str,
    seeds: int,
    first_seed: int,
    grid: list[tuple[str, list[str]]],
    zip: list[tuple[str, list[str]]],
    overrides: list[tuple[str, str]],
    jobs: Optional[int],
    shard: Optional[tuple[int, int]],
    progress: Optional[Callable[[int, int], object]],
) -> Rows: ...
