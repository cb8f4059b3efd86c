"""The native operations by what PyTorch has in stock, for tensors not on the CPU.

The same functions, slower and with more memory, with PyTorch's own gradients. This is
the only file that knows `grid_sample` and its axis order.
"""

import torch
import torch.nn.functional as nn_functional
from jaxtyping import Float
from torch import Tensor


def voxel_positions(
    shape: tuple[int, ...] | torch.Size, *, like: Tensor
) -> Float[Tensor, "1 3 i j k"]:
    """Index (i, j, k) of every voxel, with the dtype and device of `like`."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)


def warp(
    image: Float[Tensor, "b c i j k"],
    flow: Float[Tensor, "b 3 i j k"],
    is_composition: bool,
) -> Float[Tensor, "b c i j k"]:
    """Image at x + flow(x), added to flow(x) itself if `is_composition`."""
    positions = voxel_positions(flow.shape[2:], like=flow) + flow
    moved = nn_functional.grid_sample(
        image,
        _to_grid_sample_order(positions),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    # grid_sample takes what is not a number for the border; it must not go unseen.
    moved = moved.masked_fill(flow.isnan().any(dim=1, keepdim=True), torch.nan)
    return flow + moved if is_composition else moved


def compose_affine(
    numbers: Float[Tensor, "b 12"], inner: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b 3 i j k"]:
    """(I + A) inner + A x + b, x from the center; `numbers` are A, then b."""
    shape = inner.shape[2:]
    center = (torch.tensor(shape, dtype=inner.dtype, device=inner.device) - 1) / 2
    positions = voxel_positions(shape, like=inner) - center[None, :, None, None, None]
    moved = (positions + inner).flatten(2)
    change = numbers[:, :9].unflatten(1, (3, 3)) @ moved + numbers[:, 9:, None]
    return inner + change.view_as(inner)


def moments(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, "b 5"]:
    """Sums over all voxels of f, m, f f, m m, f m, in double precision."""
    f, m = fixed.double().flatten(1), moved.double().flatten(1)
    return torch.stack([x.sum(1) for x in (f, m, f * f, m * m, f * m)], dim=1)


def local_correlation(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    width: int,
    floor: float,
) -> Float[Tensor, " b"]:
    """Sum over voxels of the squared correlation in cubes of `width` voxels."""
    fields = [fixed, moved, fixed.square(), moved.square(), fixed * moved]
    means = _box_mean(torch.cat(fields, dim=1), width)
    mean_f, mean_m, square_f, square_m, product = means.split(1, dim=1)
    covariance = product - mean_f * mean_m
    variance_f = (square_f - mean_f.square()).clamp_min(0)
    variance_m = (square_m - mean_m.square()).clamp_min(0)
    shared = covariance.square() + floor
    return (shared / (variance_f * variance_m + floor)).sum((1, 2, 3, 4))


def total_variation(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, " b"]:
    """Sum of the squared forward differences of a flow."""
    sums = [flow.diff(dim=axis).square().sum((1, 2, 3, 4)) for axis in (2, 3, 4)]
    return torch.stack(sums).sum(0)


def jacobian(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, "b i j k"]:
    """Determinant of the derivative of x + flow(x)."""
    rows = [
        torch.stack(torch.gradient(flow[:, c], dim=(1, 2, 3)), dim=-1) for c in range(3)
    ]
    derivative = torch.stack(rows, dim=-2)
    derivative = derivative + torch.eye(3, dtype=flow.dtype, device=flow.device)
    a, b, c = derivative.unbind(-2)
    return (a * torch.linalg.cross(b, c)).sum(-1)


def kernel_sums(
    points: Float[Tensor, "dimensions n"], sharpness: float
) -> Float[Tensor, " n"]:
    """Sum over all points b of exp(-sharpness |x(a) - x(b)|), for every point a."""
    distances = (points[:, :, None] - points[:, None, :]).abs().sum(0)
    return torch.exp(-sharpness * distances).sum(1)


def _box_mean(images: Tensor, width: int) -> Tensor:
    # Three one-dimensional passes: the mean over a cube is separable. Beyond the border
    # there is nothing, which `inside` counts.
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0, 0, 0, 0]
        kernel[axis] = width
        padding[4 - 2 * axis : 6 - 2 * axis] = [width // 2, width // 2]
        sums, inside = (
            nn_functional.avg_pool3d(nn_functional.pad(x, padding), kernel, stride=1)
            for x in (images, torch.ones_like(images[:1, :1]))
        )
        images = sums / inside
    return images


def _to_grid_sample_order(
    positions: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b i j k 3"]:
    # grid_sample wants the last axis first, scaled so that -1 and 1 are the outermost
    # voxel centers; an axis of one voxel has only one position, whatever the number.
    scale = [2 / max(n - 1, 1) for n in positions.shape[2:]]
    components = [positions[:, axis] * scale[axis] - 1 for axis in (2, 1, 0)]
    return torch.stack(components, dim=-1)
