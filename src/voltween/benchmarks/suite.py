"""One run of all benchmarks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from voltween.benchmarks.cascades import (
    CASCADES,
    GrowthResult,
    NetworkResult,
    measure_cascade,
    measure_growth,
    measure_voxelmorph,
)
from voltween.benchmarks.cold_start import ColdStart, measure_cold_start
from voltween.benchmarks.kernels import KernelResult, measure_kernels
from voltween.benchmarks.machine import (
    Limits,
    Machine,
    describe_machine,
    measure_limits,
)
from voltween.benchmarks.operations import OperationResult, measure_operations
from voltween.benchmarks.roofline import StepResult, measure_roofline
from voltween.benchmarks.timing import Repetitions
from voltween.benchmarks.voxelmorph_package import installed_version
from voltween.networks import CascadeConfig
from voltween.ops import kernel_choices

_FULL_SIDES = (128, 64, 96, 192)
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
        return f"{command} --quick" if self.is_quick else command


@dataclass(frozen=True)
class Results:
    """All results of a run."""

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
    roofline: list[StepResult]
    cold_start: ColdStart


def run_suite(
    settings: Settings, on_part: Callable[[str], object] = lambda name: None
) -> Results:
    """Runs all benchmarks; calls `on_part` with the name of each part as it begins."""
    side, repetitions = settings.side, settings.repetitions
    machine = describe_machine()
    on_part("limits of the machine")
    limits = measure_limits(repetitions)
    on_part("operations")
    operations = list(measure_operations(side, repetitions))
    on_part("kernels of every instruction set")
    kernels = list(measure_kernels(side, repetitions))
    networks: list[NetworkResult] = []
    for stages in settings.cascades:
        on_part(f"cascade {stages}")
        networks += measure_cascade(stages, side, repetitions)
    on_part("voxelmorph")
    voxelmorph = list(measure_voxelmorph(side, repetitions))
    on_part("growth with size and threads")
    growth = list(measure_growth(tuple(sorted(settings.all_sides)), repetitions))
    on_part("steps against the limits")
    roofline = list(measure_roofline(side, repetitions))
    on_part("cold start")
    cold_start = measure_cold_start(side, repetitions)
    return Results(
        settings=settings,
        date=datetime.now(UTC).date().isoformat(),
        machine=machine,
        limits=limits,
        operations=operations,
        kernels=kernels,
        kernel_choices=dict(kernel_choices()),
        networks=networks,
        voxelmorph_version=installed_version(),
        voxelmorph=voxelmorph,
        growth=growth,
        roofline=roofline,
        cold_start=cold_start,
    )
