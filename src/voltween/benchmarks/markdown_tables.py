"""The benchmarks' results as Markdown tables."""

from collections.abc import Iterable, Sequence

from voltween.benchmarks.cascades import NetworkResult
from voltween.benchmarks.cold_start import ColdStart
from voltween.benchmarks.growth import GrowthResult
from voltween.benchmarks.kernels import KernelResult
from voltween.benchmarks.layers import LayerResult
from voltween.benchmarks.machine import Limits
from voltween.benchmarks.operations import OperationResult
from voltween.benchmarks.roofline import StepResult, step_of_layer
from voltween.benchmarks.timing import Timing, ratio_of_medians, ratio_of_minima
from voltween.diagnosis import Machine

OURS, PLAIN = "voltween", "plain PyTorch"


def machine_table(machine: Machine, limits: Limits) -> str:
    """Table of the machine and its measured limits."""
    bf16, memory = limits.bf16_product_flops, machine.memory_bytes
    load = "unknown" if machine.load is None else f"{machine.load:.2f} processes"
    rows = [
        ("processor", machine.processor),
        ("cores, threads used", f"{machine.cores}, {machine.threads}"),
        ("caches per core", ", ".join(machine.caches) or "unknown"),
        ("memory", f"{memory / 2**30:.0f} GiB" if memory else "unknown"),
        ("instruction sets", " ".join(machine.instruction_sets) or "unknown"),
        ("used where none is measured", machine.used_instruction_set),
        ("copy", f"{limits.copy_bytes_per_second / 1e9:.1f} GB/s (read + write)"),
        ("float32 matrix product", f"{limits.product_flops / 1e9:.0f} GFLOP/s"),
        ("float32 convolution", f"{limits.convolution_flops / 1e9:.0f} GFLOP/s"),
        (
            "bfloat16 matrix product",
            f"{bf16 / 1e9:.0f} GFLOP/s" if bf16 else "no fast one",
        ),
        ("load before the run", load),
        ("system", f"{machine.system}, Python {machine.python}"),
        ("versions", f"voltween {machine.voltween}, torch {machine.torch}"),
    ]
    return markdown_table(("", "machine"), rows)


def operation_table(results: Iterable[OperationResult]) -> str:
    """Table of every operation, forward and backward, against its plain form."""
    head = ("operation", "", OURS, PLAIN, *_RATIO_HEAD, "largest difference")
    rows = [
        (
            result.name,
            "forward, backward" if result.is_backward else "forward",
            _time(result.timings[OURS]),
            _time(result.timings[PLAIN]),
            *_ratios(result.timings[PLAIN], result.timings[OURS]),
            f"{result.difference:.0e}" if result.difference else "0",
        )
        for result in results
    ]
    return markdown_table(head, rows)


def kernel_table(results: Sequence[KernelResult]) -> str:
    """Table of the median and shortest time with every instruction set."""
    head = ("operation", *results[0].timings)
    rows = [
        (
            result.name,
            *(
                f"{_time(timing)}, {_digits(1e3 * timing.minimum)} ms"
                for timing in result.timings.values()
            ),
        )
        for result in results
    ]
    return markdown_table(head, rows)


def cascade_table(results: Sequence[NetworkResult]) -> str:
    """Table of all cascades for one purpose, one row per fast form."""
    head = ("cascade", "", "time", PLAIN, *_RATIO_HEAD, "memory", "memory, plain")
    rows = [
        (
            result.name,
            contender,
            _time(timing),
            _time(result.timings[PLAIN]),
            *_ratios(result.timings[PLAIN], timing),
            _megabytes(result.peak_bytes[contender]),
            _megabytes(result.peak_bytes[PLAIN]),
        )
        for result in results
        for contender, timing in result.timings.items()
        if contender != PLAIN
    ]
    return markdown_table(head, rows)


def voxelmorph_table(results: Iterable[NetworkResult]) -> str:
    """Table of ADDD and the VoxelMorph networks."""
    rows = [
        (
            name,
            result.purpose,
            _time(timing),
            f"{ratio_of_medians(timing, result.timings['ADDD']):.2f}",
            _megabytes(result.peak_bytes[name]),
        )
        for result in results
        for name, timing in result.timings.items()
    ]
    head = ("network", "", "time", "times ADDD's", "memory")
    return markdown_table(head, rows)


def growth_table(results: Sequence[GrowthResult]) -> str:
    """Table of times by threads, of the time per voxel, and of memory."""
    counts = sorted({count for result in results for count in result.timings})
    rows = []
    for result in results:
        last = result.timings[max(result.timings)]
        rows.append(
            (
                f"{result.side}^3",
                result.task,
                *(_time(result.timings[count]) for count in counts),
                _nanoseconds(last, result.side),
                _megabytes(result.peak_bytes),
            )
        )
    by_threads = [f"{n} thread{'s' if n > 1 else ''}" for n in counts]
    head = ("voxels", "", *by_threads, "ns per voxel", "memory")
    return markdown_table(head, rows)


def layer_table(results: Sequence[LayerResult], limits: Limits) -> str:
    """Table of every layer: its cost and its limit, and its plain form."""
    rows = [
        (
            f"{result.layer.name}, {result.layer.inputs} to {result.layer.outputs}",
            " x ".join(map(str, result.layer.shape)),
            *_costs(step_of_layer(result), limits),
            _time(result.timings[PLAIN]),
            *_ratios(result.timings[PLAIN], result.timings[OURS]),
        )
        for result in results
    ]
    head = ("layer", "input", *_COST_HEAD, PLAIN, *_RATIO_HEAD)
    return markdown_table(head, rows)


def roofline_table(results: Iterable[StepResult], limits: Limits) -> str:
    """Table of every step's cost, speed, limit and share of the limit."""
    rows = [(step.name, *_costs(step, limits)) for step in results]
    return markdown_table(("step", *_COST_HEAD), rows)


def cold_start_table(result: ColdStart) -> str:
    """Table of the time of the command's process and of its parts."""
    rows = [
        ("whole process", _time(result.whole)),
        ("imports alone", _time(result.imports)),
        ("network, packing included", _time(result.network)),
        ("the rest: reading, transforms, files, picture", _time(result.rest)),
    ]
    return markdown_table((f"{result.side}^3 scans", "time"), rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_RATIO_HEAD = ("times as fast", "by minima")


_COST_HEAD = (
    "GFLOP, direct",
    "GFLOP, performed",
    "MB",
    "time",
    "GFLOP/s",
    "GB/s",
    "limit",
    "share of it",
)


def _costs(step: StepResult, limits: Limits) -> tuple[str, ...]:
    """A step's cost, time, speed, limit and share of the limit."""
    return (
        _digits(step.direct_operations / 1e9),
        _digits(step.cost.operations / 1e9),
        _digits(step.cost.bytes / 1e6),
        _time(step.timing),
        _digits(step.cost.operations / step.timing.minimum / 1e9),
        _digits(step.cost.bytes / step.timing.minimum / 1e9),
        "memory" if step.is_limited_by_memory(limits) else "arithmetic",
        f"{100 * step.share_of_limit(limits):.0f} %",
    )


def _ratios(slow: Timing, fast: Timing) -> tuple[str, str]:
    return (
        f"**{ratio_of_medians(slow, fast):.2f}**",
        f"{ratio_of_minima(slow, fast):.2f}",
    )


def _time(timing: Timing) -> str:
    """Median and quartiles as text, in the unit that suits the median."""
    unit, factor = ("s", 1.0) if timing.median >= 1 else ("ms", 1e3)
    low, high = (factor * seconds for seconds in timing.quartiles)
    median = _digits(factor * timing.median)
    return f"{median} {unit} ({_digits(low)}-{_digits(high)})"


def _nanoseconds(timing: Timing, side: int) -> str:
    return _digits(1e9 * timing.median / side**3)


def _digits(value: float) -> str:
    """The value with three digits, or with all digits before the point if more."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _megabytes(size: int | None) -> str:
    return "not measured" if size is None else f"{size / 1e6:.0f} MB"
