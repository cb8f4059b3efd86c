"""Operations in plain PyTorch, written in the obvious way: the references.

The package's own operations are compared with these and must give the same results.
Names, shapes and units are those of `ops` and `losses`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as nn_functional
from jaxtyping import Float
from torch import Tensor

CONTRAST_FLOOR = 1e-6
"""Added to numerator and denominator of a squared local correlation."""
_VARIANCE_FLOOR = 1e-6
_HALF_EDGE = 0.04


def naive_positions(
    shape: tuple[int, ...] | torch.Size, *, like: Tensor
) -> Float[Tensor, "1 3 i j k"]:
    """Index (i, j, k) of every voxel, with the dtype and device of `like`."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)


def naive_warp(
    image: Float[Tensor, "b c i j k"],
    flow: Float[Tensor, "b 3 i j k"],
    mode: str = "bilinear",
) -> Float[Tensor, "b c i j k"]:
    """Image at x + flow(x), flow in voxels; the value at the border beyond the grid."""
    positions = naive_positions(flow.shape[2:], like=flow) + flow
    # grid_sample expects the last axis first, and -1 to 1 between outermost centers.
    scale = [2 / max(n - 1, 1) for n in flow.shape[2:]]
    components = [positions[:, axis] * scale[axis] - 1 for axis in (2, 1, 0)]
    return nn_functional.grid_sample(
        image,
        torch.stack(components, dim=-1),
        mode=mode,
        padding_mode="border",
        align_corners=True,
    )


def naive_compose(
    outer: Float[Tensor, "b 3 i j k"], inner: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b 3 i j k"]:
    """Flow of x -> outer(inner(x)), in voxels (eq. 3)."""
    return inner + naive_warp(outer, inner)


def naive_edges(image: Float[Tensor, "b 1 i j k"]) -> Float[Tensor, "b 1 i j k"]:
    """The spread of intensities in the cube of 3^3 voxels around every voxel.

    It is s / (s + 0.04), s being their standard deviation, with a floor.
    """
    cube = torch.ones(1, 1, 3, 3, 3, dtype=torch.float64, device=image.device)

    def total(values: Tensor) -> Tensor:
        return nn_functional.conv3d(values, cube, padding=1)

    values = image.double()
    count = total(torch.ones_like(values))  # of voxels within the grid
    variance = total(values.square()) / count - (total(values) / count).square()
    spread = (variance.clamp_min(0) + _VARIANCE_FLOOR).sqrt()
    return (spread / (spread + _HALF_EDGE)).to(image.dtype)


def naive_inverse(
    flow: Float[Tensor, "b 3 i j k"], *, tolerance: float
) -> Float[Tensor, "b 3 i j k"]:
    """The flow v with v(y) + flow(y + v(y)) = 0, by a fixed point, in voxels.

    Ends when no vector changes by more than the tolerance, or after 100 steps.
    """
    inverse = -flow
    for _ in range(100):
        before, inverse = inverse, -naive_warp(flow, inverse)
        if (inverse - before).abs().max() < tolerance:
            break
    return inverse


def naive_affine_flow(
    matrix: Float[Tensor, "b 3 3"],
    translation: Float[Tensor, "b 3"],
    inner: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b 3 i j k"]:
    """Flow A x + b after `inner`, x from the grid's center, in voxels (eq. 11, 19)."""
    middle = [(n - 1) / 2 for n in inner.shape[2:]]
    center = inner.new_tensor(middle)[None, :, None, None, None]
    centered = naive_positions(inner.shape[2:], like=inner) - center + inner
    turned = torch.einsum("bcd,bdijk->bcijk", matrix, centered)
    return inner + turned + translation[:, :, None, None, None]


def naive_correlation_loss(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, ""]:
    """1 - correlation coefficient, mean over the batch (eq. 5-7)."""
    fixed, moved = fixed.flatten(1), moved.flatten(1)
    fixed = fixed - fixed.mean(dim=1, keepdim=True)
    moved = moved - moved.mean(dim=1, keepdim=True)
    covariance = (fixed * moved).mean(dim=1)
    variances = fixed.square().mean(dim=1) * moved.square().mean(dim=1)
    floored = variances.clamp_min(_VARIANCE_FLOOR**2).sqrt()
    return (1 - covariance / floored).mean()


def naive_local_correlation_loss(
    fixed: Float[Tensor, "b 1 i j k"], moved: Float[Tensor, "b 1 i j k"], width: int = 5
) -> Float[Tensor, ""]:
    """1 - squared correlation within cubes of `width` voxels, mean over all voxels."""
    images = [fixed, moved, fixed.square(), moved.square(), fixed * moved]
    moments = _box_mean(torch.cat(images, dim=1), width)
    mean_f, mean_m, square_f, square_m, product = moments.split(1, dim=1)
    covariance = product - mean_f * mean_m
    variance_f = (square_f - mean_f.square()).clamp_min(0)
    variance_m = (square_m - mean_m.square()).clamp_min(0)
    variances = variance_f * variance_m + CONTRAST_FLOOR
    return (1 - (covariance.square() + CONTRAST_FLOOR) / variances).mean()


def naive_total_variation_loss(
    flow: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, ""]:
    """Squared forward differences, mean over 3 directions and all voxels (eq. 10)."""
    differences = [flow.diff(dim=axis).square().sum() for axis in (2, 3, 4)]
    return torch.stack(differences).sum() / (3 * flow[:, 0].numel())


def naive_jacobian_determinant(
    flow: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b i j k"]:
    """Determinant of the derivative of x + flow(x), by central differences."""
    rows = [
        torch.stack(torch.gradient(flow[:, c], dim=(1, 2, 3)), dim=-1) for c in range(3)
    ]
    identity = torch.eye(3, dtype=flow.dtype, device=flow.device)
    a, b, c = (torch.stack(rows, dim=-2) + identity).unbind(-2)
    return (a * torch.linalg.cross(b, c)).sum(-1)


def naive_joint_histogram(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    counts: Float[Tensor, "b 1 i j k"],
    *,
    bins: int,
) -> Float[Tensor, "b bins bins"]:
    """Sums of counts; a voxel is shared between the two nearest bins of each image."""
    centers = torch.linspace(0, 1, bins, dtype=fixed.dtype, device=fixed.device)
    near_f, near_m = (
        (1 - (bins - 1) * (image.flatten(1).clamp(0, 1)[..., None] - centers).abs())
        for image in (fixed, moved)
    )
    weighted = near_f.clamp_min(0) * counts.flatten(1)[..., None]
    return weighted.transpose(1, 2) @ near_m.clamp_min(0)


def naive_spread(
    control: Float[Tensor, "b c _ _ _"], shape: Sequence[int]
) -> Float[Tensor, "b c i j k"]:
    """Control points' values, interpolated at every voxel of a grid that they span."""
    return nn_functional.interpolate(
        control, size=tuple(shape), mode="trilinear", align_corners=True
    )


def naive_mutual_information(
    fixed: Float[Tensor, "b n"], moved: Float[Tensor, "b n"], *, decay: float
) -> Float[Tensor, " b"]:
    """Mutual information of n sampled intensities, in nats (eq. 15, 17).

    Entropies with the kernel exp(-decay |x - y|) between all pairs of samples: n^2
    numbers per image.
    """
    near_f = (-decay * (fixed[:, :, None] - fixed[:, None, :]).abs()).exp()
    near_m = (-decay * (moved[:, :, None] - moved[:, None, :]).abs()).exp()
    entropies = [
        -near.mean(dim=2).log().mean(dim=1)
        for near in (near_f, near_m, near_f * near_m)
    ]
    return entropies[0] + entropies[1] - entropies[2]


def _box_mean(images: Tensor, width: int) -> Tensor:
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = width, width // 2
        images = nn_functional.avg_pool3d(
            images, kernel, stride=1, padding=padding, count_include_pad=False
        )
    return images
