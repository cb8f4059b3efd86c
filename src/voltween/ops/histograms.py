"""Joint histogram of two images, with a gradient."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import check_shape, check_volume, lay_out, same_precision
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation


def joint_histogram(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    counts: Float[Tensor, "b 1 i j k"],
    bins: int,
) -> Float[Tensor, "b bins bins"]:
    """Returns the sums of `counts` per cell, fixed intensities before moved ones.

    The bins divide intensities from 0 to 1. A voxel is shared between its two nearest
    bins of either image; values outside count as the nearer bound.
    """
    fixed, moved, counts = same_precision(fixed, moved, counts)
    return JOINT_HISTOGRAM(fixed, moved, counts, bins)


def _allocate(fixed: Tensor, moved: Tensor, counts: Tensor, bins: int) -> Tensor:
    return fixed.new_empty(len(fixed), bins, bins)


def _check(fixed: Tensor, moved: Tensor, counts: Tensor, bins: int) -> None:
    check_volume("fixed image", fixed)
    check_shape("fixed image", fixed, len(fixed), 1, *fixed.shape[2:])
    check_shape("moved image", moved, *fixed.shape)
    check_shape("counts", counts, *fixed.shape)
    if bins < 2:
        raise ValueError(f"bins must be at least 2, got {bins}")


def _forward(fixed: Tensor, moved: Tensor, counts: Tensor, bins: int) -> Tensor:
    _check(fixed, moved, counts, bins)
    fixed, moved, counts = lay_out(fixed, moved, counts)
    histograms = _allocate(fixed, moved, counts, bins)
    threads = torch.get_num_threads()
    native.joint_histogram(fixed, moved, counts, bins, histograms, threads)
    return histograms


def _allocate_gradients(
    fixed: Tensor,
    moved: Tensor,
    counts: Tensor,
    gradient: Tensor,
    bins: int,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    first, second, third = (
        image.new_empty(image.shape if is_wanted else 0)
        for image, is_wanted in zip((fixed, moved, counts), wants, strict=True)
    )
    return first, second, third


def _backward(
    fixed: Tensor,
    moved: Tensor,
    counts: Tensor,
    gradient: Tensor,
    bins: int,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    _check(fixed, moved, counts, bins)
    check_shape("gradient", gradient, len(fixed), bins, bins)
    if len(wants) != 3:
        raise ValueError(f"wants must have 3 truth values, got {len(wants)}")
    fixed, moved, counts, gradient = lay_out(fixed, moved, counts, gradient)
    gradients = _allocate_gradients(fixed, moved, counts, gradient, bins, wants)
    first, second, third = (
        each if is_wanted else None
        for each, is_wanted in zip(gradients, wants, strict=True)
    )
    threads = torch.get_num_threads()
    native.joint_histogram_backward(
        fixed, moved, counts, gradient, bins, first, second, third, threads
    )
    return gradients


def _stock(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    counts: Float[Tensor, "b 1 i j k"],
    bins: int,
) -> Float[Tensor, "b bins bins"]:
    fixed_bin, fixed_share = _share_between_bins(fixed.flatten(1), bins)
    moved_bin, moved_share = _share_between_bins(moved.flatten(1), bins)
    histogram = fixed.new_zeros(len(fixed), bins * bins)
    for fixed_step in (0, 1):
        for moved_step in (0, 1):
            share = fixed_share if fixed_step else 1 - fixed_share
            share = share * (moved_share if moved_step else 1 - moved_share)
            place = (fixed_bin + fixed_step) * bins + moved_bin + moved_step
            histogram = histogram.scatter_add(1, place, counts.flatten(1) * share)
    return histogram.view(len(fixed), bins, bins)


def _share_between_bins(
    values: Float[Tensor, "b n"], bins: int
) -> tuple[Tensor, Tensor]:
    """The lower of the two nearest bins, and the share of the upper one."""
    position = values.clamp(0, 1) * (bins - 1)
    low = position.detach().floor().clamp(max=bins - 2)
    return low.long(), position - low


JOINT_HISTOGRAM = NativeOperation(
    "joint_histogram",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradients),
    stock=_stock,
    skips_unwanted=True,
)
"""(fixed, moved, counts, bins): sums of the counts per pair of bins."""
