"""The benchmarks' page: the results, and how to read them."""

import json
from dataclasses import asdict
from pathlib import Path

from voltween.benchmarks import markdown_tables
from voltween.benchmarks.suite import Results
from voltween.files import output_folder, whole_file

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

## Operations

"Largest difference" is the difference between the results of the two forms (backward:
gradients), divided by the largest value. Backward includes the forward pass and gives
the gradients of all inputs. Flows are smooth, mostly below 6 voxels. The gradient with
respect to a flow jumps between neighboring cells of the grid: where rounding in the
plain form moves a position into the other cell, the two forms differ by the jump.

{operations}

## Kernels

Kernels that differ in their instructions only: the results have the same bits. "Chosen"
is what runs where `VOLTWEEN_INSTRUCTIONS` is not set: for every kernel, precision and
class of sizes the set that was fastest in a trial at first use. Each time is followed
by the shortest one.

{kernels}

The choices: {choices}.

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

## VoxelMorph

{voxelmorph}

## Growth with size and threads

Time should be proportional to the number of voxels, so the time per voxel should be
constant. ADDD is inference with 5 halvings, which most sizes allow, so that the network
stays the same.

{growth}

## Steps against the limits of the machine

The cost of a step is the operations of its convolutions and interpolations, and the
bytes that it must read (inputs and weights, once) and write (its result, once). The
limit is the one of the two that takes longer at the machine's best measured speed. The
share is that time divided by the shortest measured time; it can exceed 100 % if data
stay in the cache, or by minimal filtering, which performs fewer operations than the
direct convolutions that are counted.

{roofline}

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
    """Returns the whole page in Markdown."""
    by_purpose = {
        purpose: [result for result in results.networks if result.purpose == purpose]
        for purpose in ("inference", "training")
    }
    return _PAGE.format(
        side=results.settings.side,
        date=results.date,
        command=results.settings.command,
        caution=_QUICK if results.settings.is_quick else "",
        machine=markdown_tables.machine_table(results.machine, results.limits),
        operations=markdown_tables.operation_table(results.operations),
        kernels=markdown_tables.kernel_table(results.kernels),
        choices=_choices(results),
        inference=markdown_tables.cascade_table(by_purpose["inference"]),
        differences=_differences(results),
        training=markdown_tables.cascade_table(by_purpose["training"]),
        voxelmorph=_voxelmorph(results),
        growth=markdown_tables.growth_table(results.growth),
        roofline=markdown_tables.roofline_table(results.roofline, results.limits),
        cold_start=markdown_tables.cold_start_table(results.cold_start),
    )


def _choices(results: Results) -> str:
    """Kernels by the set chosen for them, such as 'avx2 (warp float32, large)'."""
    kernels: dict[str, list[str]] = {}
    for kernel, name in sorted(results.kernel_choices.items()):
        kernels.setdefault(name, []).append(kernel)
    texts = [f"{name} ({'; '.join(those)})" for name, those in kernels.items()]
    return ", ".join(texts) or "none, one set was used for all"


def _voxelmorph(results: Results) -> str:
    if not results.voxelmorph:
        return _NO_VOXELMORPH
    table = markdown_tables.voxelmorph_table(results.voxelmorph)
    return f"{_VOXELMORPH.format(version=results.voxelmorph_version)}\n{table}"


def _differences(results: Results) -> str:
    """Largest differences over the cascades, such as 'voltween 0.0001 voxels'."""
    worst: dict[str, float] = {}
    for result in results.networks:
        for name, voxels in result.differences.items():
            worst[name] = max(voxels, worst.get(name, 0.0))
    return ", ".join(f"{name} {voxels:.1g} voxels" for name, voxels in worst.items())
