"""PyTorch's view of the native operations: shapes, gradients, and threads.

The operations are compiled from `src/native` and work on contiguous CPU tensors of
single or double precision. `warp`, `losses`, `jacobian` and the networks call them;
tensors of other devices take the stock operations of PyTorch instead (`stock`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake

from voltween.ops import _native
from voltween.ops.shapes import check_shape, check_volume

_MOST_VOXELS = 2**31 - 1  # places within a volume are counted in 32 bits


def instruction_set() -> str:
    """Instruction set in use: 'avx512', 'avx2' or 'plain'.

    It is the best one the processor has, unless the environment variable
    VOLTWEEN_INSTRUCTIONS named another when voltween was imported.
    """
    return _native.instruction_set()


def is_native(*tensors: Tensor) -> bool:
    """Whether the native operations are for these tensors: all are on the CPU."""
    return all(tensor.device.type == "cpu" for tensor in tensors)


def same_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in single precision, or all in double if one of them is."""
    is_double = any(tensor.dtype == torch.float64 for tensor in tensors)
    dtype = torch.float64 if is_double else torch.float32
    return tuple(tensor.to(dtype) for tensor in tensors)


def operation(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Decorator that makes a function the operation voltween::name of CPU tensors.

    Not `torch.library.custom_op`, which imports PyTorch's compiler at the first call:
    most of a second that every command would pay.
    """

    def register(function: Callable[..., Any]) -> Any:
        full_name = f"voltween::{name}"
        schema = torch.library.infer_schema(function, mutates_args=())
        torch.library.define(full_name, schema)
        torch.library.impl(full_name, "cpu", function)
        return getattr(torch.ops.voltween, name)

    return register


@operation("warp")
def warp(image: Tensor, flow: Tensor, is_composition: bool) -> Tensor:
    """Image at x + flow(x), added to flow(x) itself if `is_composition`."""
    image, flow = _ready(image), _ready(flow)
    check_volume("image", image)
    check_shape("flow", flow, len(image), 3, *image.shape[2:])
    if is_composition:
        check_shape("outer flow", image, *flow.shape)
    moved = torch.empty_like(image)
    _native.warp(image, flow, is_composition, moved, torch.get_num_threads())
    return moved


@operation("warp_backward")
def _warp_backward(
    image: Tensor,
    flow: Tensor,
    gradient: Tensor,
    is_composition: bool,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    image, flow = _ready(image), _ready(flow)
    results = _wanted(image, wants[0]), _wanted(flow, wants[1])
    _native.warp_backward(
        image,
        flow,
        _ready(gradient),
        is_composition,
        results[0] if wants[0] else None,
        results[1] if wants[1] else None,
        torch.get_num_threads(),
    )
    return results


@operation("compose_affine")
def compose_affine(numbers: Tensor, inner: Tensor) -> Tensor:
    """(I + A) inner + A x + b, x from the center; `numbers` (B, 12) are A, then b."""
    inner = _ready(inner)
    check_volume("inner flow", inner)
    check_shape("inner flow", inner, len(numbers), 3, *inner.shape[2:])
    check_shape("affine numbers", numbers, len(inner), 12)
    result = torch.empty_like(inner)
    _native.compose_affine(_ready(numbers), inner, result, torch.get_num_threads())
    return result


@operation("compose_affine_backward")
def _compose_affine_backward(
    numbers: Tensor, inner: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    numbers, inner = _ready(numbers), _ready(inner)
    results = torch.empty_like(numbers), torch.empty_like(inner)
    _native.compose_affine_backward(
        numbers, inner, _ready(gradient), *results, torch.get_num_threads()
    )
    return results


@operation("moments")
def moments(fixed: Tensor, moved: Tensor) -> Tensor:
    """Sums over all voxels of f, m, f f, m m, f m: (B, 5) in double precision."""
    fixed, moved = _ready(fixed), _ready(moved)
    check_volume("fixed image", fixed)
    check_shape("moved image", moved, *fixed.shape)
    sums = fixed.new_empty(len(fixed), 5, dtype=torch.float64)
    _native.moments(fixed, moved, sums, torch.get_num_threads())
    return sums


@operation("moments_backward")
def _moments_backward(
    fixed: Tensor,
    moved: Tensor,
    gradient: Tensor,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    fixed, moved = _ready(fixed), _ready(moved)
    results = _wanted(fixed, wants[0]), _wanted(moved, wants[1])
    _native.moments_backward(
        fixed,
        moved,
        _ready(gradient),
        results[0] if wants[0] else None,
        results[1] if wants[1] else None,
        torch.get_num_threads(),
    )
    return results


@operation("local_correlation")
def local_correlation(fixed: Tensor, moved: Tensor, width: int, floor: float) -> Tensor:
    """Sum over voxels of the squared correlation in cubes: (B,), double precision."""
    fixed, moved = _ready(fixed), _ready(moved)
    check_volume("fixed image", fixed)
    check_shape("fixed image", fixed, len(fixed), 1, *fixed.shape[2:])
    check_shape("moved image", moved, *fixed.shape)
    sums = fixed.new_empty(len(fixed), dtype=torch.float64)
    _native.local_correlation(fixed, moved, width, floor, sums, torch.get_num_threads())
    return sums


@operation("local_correlation_backward")
def _local_correlation_backward(
    fixed: Tensor,
    moved: Tensor,
    gradient: Tensor,
    width: int,
    floor: float,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    fixed, moved = _ready(fixed), _ready(moved)
    results = _wanted(fixed, wants[0]), _wanted(moved, wants[1])
    _native.local_correlation_backward(
        fixed,
        moved,
        width,
        floor,
        _ready(gradient),
        results[0] if wants[0] else None,
        results[1] if wants[1] else None,
        torch.get_num_threads(),
    )
    return results


@operation("total_variation")
def total_variation(flow: Tensor) -> Tensor:
    """Sum of the squared forward differences of a flow: (B,), double precision."""
    flow = _ready(flow)
    check_volume("flow", flow)
    check_shape("flow", flow, len(flow), 3, *flow.shape[2:])
    sums = flow.new_empty(len(flow), dtype=torch.float64)
    _native.total_variation(flow, sums, torch.get_num_threads())
    return sums


@operation("total_variation_backward")
def _total_variation_backward(flow: Tensor, gradient: Tensor) -> Tensor:
    flow = _ready(flow)
    result = torch.empty_like(flow)
    _native.total_variation_backward(
        flow, _ready(gradient), result, torch.get_num_threads()
    )
    return result


@operation("jacobian")
def jacobian(flow: Tensor) -> Tensor:
    """Determinant of the derivative of x + flow(x): (B, I, J, K)."""
    flow = _ready(flow)
    check_volume("flow", flow)
    check_shape("flow", flow, len(flow), 3, *flow.shape[2:])
    determinant = flow.new_empty(len(flow), *flow.shape[2:])
    _native.jacobian(flow, determinant, torch.get_num_threads())
    return determinant


@operation("jacobian_backward")
def _jacobian_backward(flow: Tensor, gradient: Tensor) -> Tensor:
    flow = _ready(flow)
    result = torch.empty_like(flow)
    _native.jacobian_backward(flow, _ready(gradient), result, torch.get_num_threads())
    return result


@operation("kernel_sums")
def kernel_sums(points: Tensor, sharpness: float) -> Tensor:
    """Sum over all points b of exp(-sharpness |x(a) - x(b)|), for every point a.

    `points` is (dimensions, n); |.| adds up the dimensions.
    """
    points = _ready(points)
    sums = torch.empty_like(points[0])
    _native.kernel_sums(points, sharpness, sums, torch.get_num_threads())
    return sums


@operation("kernel_sums_backward")
def _kernel_sums_backward(points: Tensor, gradient: Tensor, sharpness: float) -> Tensor:
    points = _ready(points)
    result = torch.empty_like(points)
    _native.kernel_sums_backward(
        points, sharpness, _ready(gradient), result, torch.get_num_threads()
    )
    return result


def _ready(tensor: Tensor) -> Tensor:
    """The tensor as the kernels read it: contiguous and out of autograd's sight."""
    if tensor.ndim == 5 and tensor[0, 0].numel() > _MOST_VOXELS:
        raise ValueError(
            f"volumes must have at most {_MOST_VOXELS} voxels, got a tensor of shape "
            f"{tuple(tensor.shape)}: work on a coarser grid"
        )
    return tensor.detach().contiguous()


def _wanted(like: Tensor, is_wanted: bool) -> Tensor:
    """Room for a gradient; nothing, where it is not wanted."""
    return torch.empty_like(like) if is_wanted else like.new_empty(0)


# What follows tells PyTorch the shapes (for torch.compile) and the gradients.


@register_fake("voltween::warp")
def _(image: Tensor, flow: Tensor, is_composition: bool) -> Tensor:
    return image.new_empty(image.shape)


@register_fake("voltween::warp_backward")
def _(
    image: Tensor,
    flow: Tensor,
    gradient: Tensor,
    is_composition: bool,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    return _fake_pair(image, flow, wants)


@register_fake("voltween::compose_affine")
def _(numbers: Tensor, inner: Tensor) -> Tensor:
    return inner.new_empty(inner.shape)


@register_fake("voltween::compose_affine_backward")
def _(numbers: Tensor, inner: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return numbers.new_empty(numbers.shape), inner.new_empty(inner.shape)


@register_fake("voltween::moments")
def _(fixed: Tensor, moved: Tensor) -> Tensor:
    return fixed.new_empty(len(fixed), 5, dtype=torch.float64)


@register_fake("voltween::moments_backward")
def _(
    fixed: Tensor,
    moved: Tensor,
    gradient: Tensor,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    return _fake_pair(fixed, moved, wants)


@register_fake("voltween::local_correlation")
def _(fixed: Tensor, moved: Tensor, width: int, floor: float) -> Tensor:
    return fixed.new_empty(len(fixed), dtype=torch.float64)


@register_fake("voltween::local_correlation_backward")
def _(
    fixed: Tensor,
    moved: Tensor,
    gradient: Tensor,
    width: int,
    floor: float,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    return _fake_pair(fixed, moved, wants)


@register_fake("voltween::total_variation")
def _(flow: Tensor) -> Tensor:
    return flow.new_empty(len(flow), dtype=torch.float64)


@register_fake("voltween::total_variation_backward")
@register_fake("voltween::jacobian_backward")
def _(flow: Tensor, gradient: Tensor) -> Tensor:
    return flow.new_empty(flow.shape)


@register_fake("voltween::jacobian")
def _(flow: Tensor) -> Tensor:
    return flow.new_empty(len(flow), *flow.shape[2:])


@register_fake("voltween::kernel_sums")
def _(points: Tensor, sharpness: float) -> Tensor:
    return points.new_empty(points.shape[1])


@register_fake("voltween::kernel_sums_backward")
def _(points: Tensor, gradient: Tensor, sharpness: float) -> Tensor:
    return points.new_empty(points.shape)


def _fake_pair(
    first: Tensor, second: Tensor, wants: Sequence[bool]
) -> tuple[Tensor, Tensor]:
    return (
        first.new_empty(first.shape if wants[0] else 0),
        second.new_empty(second.shape if wants[1] else 0),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*(x for x in inputs if isinstance(x, Tensor)))
    ctx.settings = tuple(x for x in inputs if not isinstance(x, Tensor))


def _pair_gradients(ctx: Any, backward: Any, gradient: Tensor) -> tuple[Any, ...]:
    wants = list(ctx.needs_input_grad[:2])
    pair = backward(*ctx.saved_tensors, gradient, *ctx.settings, wants)
    first, second = (g if w else None for g, w in zip(pair, wants, strict=True))
    return (first, second, *(None for _ in ctx.settings))


def _both_gradients(ctx: Any, backward: Any, gradient: Tensor) -> tuple[Any, ...]:
    first, second = backward(*ctx.saved_tensors, gradient)
    return first, second


def _single_gradient(ctx: Any, backward: Any, gradient: Tensor) -> tuple[Any, ...]:
    result = backward(*ctx.saved_tensors, gradient, *ctx.settings)
    return (result, *(None for _ in ctx.settings))


for _name, _backward, _gradients in (
    ("warp", _warp_backward, _pair_gradients),
    ("compose_affine", _compose_affine_backward, _both_gradients),
    ("moments", _moments_backward, _pair_gradients),
    ("local_correlation", _local_correlation_backward, _pair_gradients),
    ("total_variation", _total_variation_backward, _single_gradient),
    ("jacobian", _jacobian_backward, _single_gradient),
    ("kernel_sums", _kernel_sums_backward, _single_gradient),
):
    register_autograd(
        f"voltween::{_name}",
        lambda ctx, gradient, gradients=_gradients, backward=_backward: gradients(
            ctx, backward, gradient
        ),
        setup_context=_save,
    )
