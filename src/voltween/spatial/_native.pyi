"""The compiled kernels of scanner space, on contiguous arrays.

A `Chain` maps positions in voxels: matrices (3, 4) and fields in turn. Results are
written into the array given; the last argument is the number of threads. Arrays of
another type, number of axes or shape are refused.
"""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]

class Chain:
    def __init__(self, last: Doubles, /) -> None: ...
    def add(
        self, matrix: Doubles, field: Doubles, to_voxels: Doubles, reading: str, /
    ) -> None: ...

def instruction_set() -> str: ...
def map(chain: Chain, positions: Doubles, mapped: Doubles, threads: int, /) -> None: ...
def invert(
    chain: Chain,
    positions: Doubles,
    tolerance: float,
    iterations: int,
    origins: Doubles,
    errors: Doubles,
    threads: int,
    /,
) -> None: ...
def invert_field(
    chain: Chain,
    vectors_mm: Doubles,
    to_mm: Doubles,
    tolerance: float,
    iterations: int,
    result_mm: Doubles,
    residuals_mm: Singles,
    threads: int,
    /,
) -> None: ...
def solve_splines(numbers: Doubles, threads: int, /) -> None: ...
def sample(
    chain: Chain,
    image: Singles,
    outside: float,
    is_soft: bool,
    result: Singles,
    threads: int,
    /,
) -> None: ...
def pick(
    chain: Chain,
    volume: NDArray[np.unsignedinteger],
    ends: NDArray[np.int64],
    result: NDArray[np.unsignedinteger],
    threads: int,
    /,
) -> None: ...
def displacements(
    chain: Chain, scale: Doubles, result: Doubles, threads: int, /
) -> None: ...
def lengths(
    chain: Chain,
    scale: Doubles,
    where: NDArray[np.uint8],
    result: Singles,
    threads: int,
    /,
) -> None: ...
def determinants(chain: Chain, result: Singles, threads: int, /) -> None: ...
def smooth(
    image: Singles,
    weights_i: Singles,
    weights_j: Singles,
    weights_k: Singles,
    result: Singles,
    threads: int,
    /,
) -> None: ...
