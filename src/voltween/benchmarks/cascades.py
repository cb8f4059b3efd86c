"""Times and memory of whole networks: inference and training step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from voltween.benchmarks.memory import peak_bytes
from voltween.benchmarks.timing import Repetitions, Timing, Work, alternate
from voltween.benchmarks.voxelmorph_package import (
    SETTINGS,
    VOXELMORPH_MULTIPLE,
    installed_version,
)
from voltween.benchmarks.workloads import Purpose, Workload
from voltween.networks import Tweening, has_fast_bf16

CASCADES = ("D", "DD", "DDD", "AD", "ADD", "ADDD")


@dataclass(frozen=True)
class NetworkResult:
    """Times and memory of networks that do the same job."""

    name: str
    purpose: Purpose
    timings: dict[str, Timing]
    """By contender."""
    peak_bytes: dict[str, int | None]
    """By contender, beyond the memory held before the call; None where not measured."""
    differences: dict[str, float]
    """Largest difference of a contender's flow from plain PyTorch's, in voxels."""


def measure_cascade(
    stages: str, side: int, repetitions: Repetitions
) -> Iterator[NetworkResult]:
    """Measures inference, then a training step, of one cascade and of plain PyTorch."""
    plain = Workload("inference", "plain PyTorch", stages, side)
    ours = replace(plain, contender="voltween")
    half = [replace(plain, contender="voltween bf16")] if has_fast_bf16() else []
    auto = [replace(task, contender="voltween auto") for task in half]
    yield _measure(stages, _by_contender(ours, *half, *auto, plain), repetitions)
    recomputing = replace(plain, contender="voltween recomputing")
    tasks = (ours, *half, recomputing, plain)
    steps = [replace(task, purpose="training") for task in tasks]
    yield _measure(stages, _by_contender(*steps), repetitions)


def measure_voxelmorph(side: int, repetitions: Repetitions) -> Iterator[NetworkResult]:
    """Measures ADDD against the networks of the voxelmorph package.

    Yields nothing if the package is missing or the cube cannot be halved 5 times.
    """
    if installed_version() is None or side % VOXELMORPH_MULTIPLE:
        return
    purposes: tuple[Purpose, ...] = ("inference", "training")
    for purpose in purposes:
        contenders = {"ADDD": Workload(purpose, "voltween", "ADDD", side)}
        contenders |= {name: Workload(purpose, name, "", side) for name in SETTINGS}
        yield _measure("voxelmorph", contenders, repetitions)


def _measure(
    name: str, contenders: Mapping[str, Workload], repetitions: Repetitions
) -> NetworkResult:
    peaks = {key: peak_bytes(task) for key, task in contenders.items()}
    works = {key: task.prepare() for key, task in contenders.items()}
    purpose = next(iter(contenders.values())).purpose
    differences = _differences(works) if purpose == "inference" else {}
    return NetworkResult(
        name, purpose, alternate(works, repetitions), peaks, differences
    )


def _by_contender(*tasks: Workload) -> dict[str, Workload]:
    return {task.contender: task for task in tasks}


def _differences(works: Mapping[str, Work]) -> dict[str, float]:
    results = {name: work() for name, work in works.items()}
    flows = {n: r.flow for n, r in results.items() if isinstance(r, Tweening)}
    plain = flows.pop("plain PyTorch", None)
    if plain is None:
        return {}
    return {name: float((flow - plain).abs().max()) for name, flow in flows.items()}
