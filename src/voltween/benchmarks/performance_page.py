"""The benchmarks' page: the results, and how to read them."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from voltween.benchmarks import markdown_tables
from voltween.benchmarks.suite import Part, Results
from voltween.storage import output_folder, whole_file

_PAGE = """\
# Performance

One pair of images of {side}^3 voxels, batch 1, float32 unless said otherwise, measured
on {date} with

```
{command}
```
{caution}
{machine}

**How to read the tables.** The contenders of a row took turns in one run, so that
other load on the machine affected all of them. A time is the median, with the quartiles
in brackets; "times as fast" is the plain form's median divided by ours, "by minima" the
same for the shortest times. Where the two disagree, the machine was disturbed.
*Plain PyTorch* is the same operation or network written in the obvious way with PyTorch
alone (`voltween.benchmarks.naive`, `naive_cascade`), with the same weights and results.
"""
_OPERATIONS = """\
## Operations

"Largest difference" is the difference between the results of the two forms (backward:
gradients), divided by the largest value. Backward includes the forward pass and gives
the gradients of all inputs. Flows are smooth, mostly below 6 voxels. The gradient with
respect to a flow jumps between neighboring cells of the grid: where rounding in the
plain form moves a position into the other cell, the two forms differ by the jump.

{operations}
"""
_KERNELS = """\
## Kernels

Kernels that differ in their instructions only: the results have the same bits. "Chosen"
is what runs where `VOLTWEEN_INSTRUCTIONS` is not set: for every kernel, precision and
class of sizes the set that was fastest in a trial at first use. Each time is followed
by the shortest one.

{kernels}

The choices: {choices}.
"""
_CASCADES = """\
## Inference

The whole cascade, from a normalized pair to the flow and all tweening frames. Memory is
the peak during one call, beyond images and weights, in a separate process that returns
freed memory at once.

{inference}

Largest difference of the flow from plain PyTorch's: {differences}.

## Training step

Forward pass, the losses of Table I, backward pass, Adam. Memory is the peak during the
step, beyond images, weights, gradients and Adam's state.

{training}
"""
_GROWTH = """\
## Growth with size and threads

Time should be proportional to the number of voxels, so the time per voxel, with all
threads, should be constant. ADDD is inference with 5 halvings, which most sizes allow,
so that the network stays the same; the training step is that of the same network. The
refinement is 25 steps from the identity (`fast`, without an early end). The whole
command is a process that reads two scans of this size of a head's extent, registers
them by the shipped network, and writes all files. Memory is the peak beyond images,
weights and gradients; of the whole command, that of the process. Above 256^3, only the
whole command is measured, which needs no more memory for the network.

{growth}
"""
_LAYERS = """\
## Layers

The layers of a dense subnetwork. "Direct" are the operations of the convolution by its
definition, a product and a sum for each tap. "Performed" are those of this processor:
with minimal filtering, fewer products, and the additions of its transforms; also those
whose result is not used, of tiles beyond the border and of vectors with empty lanes.
Bytes are those that a layer must read (inputs and weights, once) and write (its result,
once). The limit is the one of the two that takes longer at the machine's best measured
speed. The share is that time divided by the shortest measured time; it can exceed 100 %
if data stay in the cache.

{layers}
"""
_STEPS = """\
## Steps against the limits of the machine

The same for the steps of the cascade, of which the whole performs some several times.

{steps}
"""
_COLD_START = """\
## Cold start

`voltween register` on two scans, from the start of the process to all files on disk.

{cold_start}
"""
_QUICK = "\nA quick run: too few repetitions for figures to be quoted.\n"
_VOXELMORPH = """\
The networks of the `voxelmorph` package {version}, in turn with our ADDD cascade:
*VoxelMorph* with the package's defaults (16 features on 5 levels, 5 steps of
integration), *VoxelMorph-2* with 16, 32, 32, 32 features and no integration, as close
to that paper's network as the package's symmetric U-Net can be. They convolve at full
resolution and register once; ADDD registers four times. Their training step uses the
plain correlation and total-variation losses, and Adam. The task is the same but the
networks differ: times say nothing about the quality of the result.
"""
_NO_VOXELMORPH = (
    "Not measured: the `voxelmorph` package is not installed (extra `bench`)."
)


def write_report(results: Results, out: Path) -> str:
    """Writes performance.md and results.json into the folder; returns the page.

    Raises:
        OutputError: If the folder cannot be made or written to.
    """
    folder, page = output_folder(out), performance_page(results)
    with whole_file(folder / "performance.md") as file:
        file.write_text(page, encoding="utf-8")
    with whole_file(folder / "results.json") as file:
        file.write_text(json.dumps(asdict(results), indent=1) + "\n")
    return page


def performance_page(results: Results) -> str:
    """Returns the whole page in Markdown, with the parts that were measured."""
    head = _PAGE.format(
        side=results.settings.side,
        date=results.date,
        command=results.settings.command,
        caution=_QUICK if results.settings.is_quick else "",
        machine=markdown_tables.machine_table(results.machine, results.limits),
    )
    parts = results.settings.all_parts
    sections = [_SECTIONS[part](results) for part in _SECTIONS if part in parts]
    return "\n".join([head, *sections])


def _operations(results: Results) -> str:
    table = markdown_tables.operation_table(results.operations)
    return _OPERATIONS.format(operations=table)


def _kernels(results: Results) -> str:
    table = markdown_tables.kernel_table(results.kernels)
    return _KERNELS.format(kernels=table, choices=_choices(results))


def _cascades(results: Results) -> str:
    tables = {
        purpose: markdown_tables.cascade_table(
            [result for result in results.networks if result.purpose == purpose]
        )
        for purpose in ("inference", "training")
    }
    return _CASCADES.format(**tables, differences=_differences(results))


def _growth(results: Results) -> str:
    return _GROWTH.format(growth=markdown_tables.growth_table(results.growth))


def _layers(results: Results) -> str:
    table = markdown_tables.layer_table(results.layers, results.limits)
    return _LAYERS.format(layers=table)


def _steps(results: Results) -> str:
    table = markdown_tables.roofline_table(results.steps, results.limits)
    return _STEPS.format(steps=table)


def _cold_start(results: Results) -> str:
    tables = map(markdown_tables.cold_start_table, results.cold_start)
    return _COLD_START.format(cold_start="\n".join(tables))


def _choices(results: Results) -> str:
    """Kernels by the set chosen for them, such as 'avx2 (warp float32, large)'."""
    kernels: dict[str, list[str]] = {}
    for kernel, name in sorted(results.kernel_choices.items()):
        kernels.setdefault(name, []).append(kernel)
    texts = [f"{name} ({'; '.join(those)})" for name, those in kernels.items()]
    return ", ".join(texts) or "none, one set was used for all"


def _voxelmorph(results: Results) -> str:
    text = _NO_VOXELMORPH
    if results.voxelmorph:
        table = markdown_tables.voxelmorph_table(results.voxelmorph)
        text = f"{_VOXELMORPH.format(version=results.voxelmorph_version)}\n{table}"
    return f"## VoxelMorph\n\n{text}\n"


def _differences(results: Results) -> str:
    """Largest differences over the cascades, such as 'voltween 0.0001 voxels'."""
    worst: dict[str, float] = {}
    for result in results.networks:
        for name, voxels in result.differences.items():
            worst[name] = max(voxels, worst.get(name, 0.0))
    return ", ".join(f"{name} {voxels:.1g} voxels" for name, voxels in worst.items())


_SECTIONS: dict[Part, Callable[[Results], str]] = {
    "operations": _operations,
    "kernels": _kernels,
    "cascades": _cascades,
    "voxelmorph": _voxelmorph,
    "growth": _growth,
    "layers": _layers,
    "steps": _steps,
    "cold-start": _cold_start,
}
