"""One run of all benchmarks, or of some."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Literal, TypeVar, get_args

from voltween.benchmarks.cascades import (
    CASCADES,
    NetworkResult,
    measure_cascade,
    measure_voxelmorph,
)
from voltween.benchmarks.cold_start import ColdStart, measure_cold_start
from voltween.benchmarks.growth import GrowthResult, measure_growth
from voltween.benchmarks.kernels import KernelResult, measure_kernels
from voltween.benchmarks.layers import LayerResult, measure_layers
from voltween.benchmarks.machine import Limits, measure_limits
from voltween.benchmarks.operations import OperationResult, measure_operations
from voltween.benchmarks.roofline import StepResult, measure_roofline
from voltween.benchmarks.timing import Repetitions
from voltween.benchmarks.voxelmorph_package import installed_version
from voltween.diagnosis import Machine, describe_machine
from voltween.networks import CascadeConfig
from voltween.ops import kernel_choices

T = TypeVar("T")
Part = Literal[
    "operations",
    "kernels",
    "cascades",
    "voxelmorph",
    "growth",
    "layers",
    "steps",
    "cold-start",
]
_FULL_SIDES = (128, 64, 96, 192, 256, 512)
_QUICK_SIDES = (32, 16)


@dataclass(frozen=True)
class Settings:
    """Selection of benchmarks to run.

    Raises:
        InputError: If a side is not a multiple of 8 voxels.
    """

    sides: tuple[int, ...] = ()
    """Sides of the cubes in voxels: the first for all tables, all for growth.
    If empty, those of the published tables, or small ones for a quick run."""
    parts: tuple[Part, ...] = ()
    """Parts to run; if empty, all."""
    is_quick: bool = False
    """One cascade and few repetitions: shows that it works, but is imprecise."""

    def __post_init__(self) -> None:
        for side in self.sides:
            CascadeConfig("ADDD", (side, side, side))

    @property
    def all_sides(self) -> tuple[int, ...]:
        """The sides to run, at least one."""
        return self.sides or (_QUICK_SIDES if self.is_quick else _FULL_SIDES)

    @property
    def all_parts(self) -> tuple[Part, ...]:
        """The parts to run, at least one."""
        return self.parts or get_args(Part)

    @property
    def side(self) -> int:
        """Side of the cube of all tables except that of growth."""
        return self.all_sides[0]

    @property
    def cascades(self) -> tuple[str, ...]:
        """The cascades to run."""
        return ("ADD",) if self.is_quick else CASCADES

    @property
    def repetitions(self) -> Repetitions:
        """Repetitions of each comparison."""
        if self.is_quick:
            return Repetitions(fewest_rounds=2, most_rounds=3, seconds=1.0)
        return Repetitions()

    @property
    def command(self) -> str:
        """The command line that repeats the run."""
        sizes = " ".join(map(str, self.all_sides))
        command = f"voltween bench --sizes {sizes}"
        if self.parts:
            command += f" --parts {' '.join(self.parts)}"
        return f"{command} --quick" if self.is_quick else command


@dataclass(frozen=True)
class Results:
    """All results of a run; those of parts that were not to run are empty."""

    settings: Settings
    date: str
    machine: Machine
    limits: Limits
    operations: list[OperationResult]
    kernels: list[KernelResult]
    kernel_choices: dict[str, str]
    """Instruction set of every kernel that was chosen by measurement."""
    networks: list[NetworkResult]
    voxelmorph_version: str | None
    voxelmorph: list[NetworkResult]
    growth: list[GrowthResult]
    layers: list[LayerResult]
    steps: list[StepResult]
    cold_start: list[ColdStart]
    """One, if it was measured."""


def run_suite(
    settings: Settings, on_part: Callable[[str], object] = lambda name: None
) -> Results:
    """Runs the parts; calls `on_part` with the name of each part as it begins."""
    side, repetitions = settings.side, settings.repetitions

    def results_of(part: Part, measure: Callable[[], Iterable[T]]) -> list[T]:
        if part not in settings.all_parts:
            return []
        on_part(part)
        return list(measure())

    machine = describe_machine()
    on_part("limits of the machine")
    return Results(
        settings=settings,
        date=datetime.now(UTC).date().isoformat(),
        machine=machine,
        limits=measure_limits(repetitions),
        operations=results_of(
            "operations", lambda: measure_operations(side, repetitions)
        ),
        kernels=results_of("kernels", lambda: measure_kernels(side, repetitions)),
        networks=results_of("cascades", lambda: _measure_cascades(settings)),
        voxelmorph_version=installed_version(),
        voxelmorph=results_of(
            "voxelmorph", lambda: measure_voxelmorph(side, repetitions)
        ),
        growth=results_of(
            "growth",
            lambda: measure_growth(tuple(sorted(settings.all_sides)), repetitions),
        ),
        layers=results_of("layers", lambda: measure_layers(side, repetitions)),
        steps=results_of("steps", lambda: measure_roofline(side, repetitions)),
        cold_start=results_of(
            "cold-start", lambda: [measure_cold_start(side, repetitions)]
        ),
        kernel_choices=dict(kernel_choices()),
    )


def _measure_cascades(settings: Settings) -> Iterable[NetworkResult]:
    return chain.from_iterable(
        measure_cascade(stages, settings.side, settings.repetitions)
        for stages in settings.cascades
    )
