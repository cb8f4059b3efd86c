"""The compiled operations (src/native): contiguous arrays, results written in place.

An array of another type or number of axes raises TypeError. The modules of voltween.ops
that define a NativeOperation call these functions, and check the shapes.
"""

from torch import Tensor

def use(instruction_set: str, /) -> None: ...
def processor() -> str: ...
def instruction_set() -> str: ...
def instruction_sets() -> list[str]: ...
def warp(
    image: Tensor, flow: Tensor, is_composition: bool, moved: Tensor, threads: int, /
) -> None: ...
def warp_backward(
    image: Tensor,
    flow: Tensor,
    gradient: Tensor,
    is_composition: bool,
    image_gradient: Tensor | None,
    flow_gradient: Tensor | None,
    threads: int,
    /,
) -> None: ...
def compose_affine(
    numbers: Tensor, inner: Tensor, result: Tensor, threads: int, /
) -> None: ...
def compose_affine_backward(
    numbers: Tensor,
    inner: Tensor,
    gradient: Tensor,
    number_gradient: Tensor,
    inner_gradient: Tensor,
    threads: int,
    /,
) -> None: ...
def moments(fixed: Tensor, moved: Tensor, moments: Tensor, threads: int, /) -> None: ...
def moments_backward(
    fixed: Tensor,
    moved: Tensor,
    gradient: Tensor,
    fixed_gradient: Tensor | None,
    moved_gradient: Tensor | None,
    threads: int,
    /,
) -> None: ...
def local_correlation(
    fixed: Tensor,
    moved: Tensor,
    width: int,
    floor: float,
    sums: Tensor,
    threads: int,
    /,
) -> None: ...
def local_correlation_backward(
    fixed: Tensor,
    moved: Tensor,
    width: int,
    floor: float,
    gradient: Tensor,
    fixed_gradient: Tensor | None,
    moved_gradient: Tensor | None,
    threads: int,
    /,
) -> None: ...
def total_variation(flow: Tensor, sums: Tensor, threads: int, /) -> None: ...
def total_variation_backward(
    flow: Tensor, gradient: Tensor, flow_gradient: Tensor, threads: int, /
) -> None: ...
def jacobian(flow: Tensor, determinant: Tensor, threads: int, /) -> None: ...
def jacobian_backward(
    flow: Tensor, gradient: Tensor, flow_gradient: Tensor, threads: int, /
) -> None: ...
def kernel_sums(
    points: Tensor, sharpness: float, sums: Tensor, threads: int, /
) -> None: ...
def kernel_sums_backward(
    points: Tensor,
    sharpness: float,
    gradient: Tensor,
    point_gradient: Tensor,
    threads: int,
    /,
) -> None: ...
def join(
    skip: Tensor,
    features: Tensor,
    prediction: Tensor,
    leak: float,
    joined: Tensor,
    threads: int,
    /,
) -> None: ...
def join_backward(
    joined: Tensor,
    gradient: Tensor,
    leak: float,
    skip_gradient: Tensor,
    feature_gradient: Tensor,
    prediction_gradient: Tensor,
    threads: int,
    /,
) -> None: ...
def interleave(phases: Tensor, scale: float, flow: Tensor, threads: int, /) -> None: ...
def interleave_backward(
    gradient: Tensor, scale: float, phase_gradient: Tensor, threads: int, /
) -> None: ...
def spread(control: Tensor, result: Tensor, threads: int, /) -> None: ...
def spread_backward(
    gradient: Tensor, control_gradient: Tensor, threads: int, /
) -> None: ...
def joint_histogram(
    fixed: Tensor,
    moved: Tensor,
    counts: Tensor,
    bins: int,
    histograms: Tensor,
    threads: int,
    /,
) -> None: ...
def joint_histogram_backward(
    fixed: Tensor,
    moved: Tensor,
    counts: Tensor,
    gradient: Tensor,
    bins: int,
    fixed_gradient: Tensor | None,
    moved_gradient: Tensor | None,
    count_gradient: Tensor | None,
    threads: int,
    /,
) -> None: ...
def add_variation(
    flow: Tensor, scale: float, total: Tensor, gradient: Tensor, threads: int, /
) -> None: ...
def add_folding(
    flow: Tensor,
    least: float,
    scale: float,
    total: Tensor,
    gradient: Tensor,
    threads: int,
    /,
) -> None: ...
def cube_statistics(
    image: Tensor, width: int, statistics: Tensor, threads: int, /
) -> None: ...
def add_warped_correlation(
    fixed: Tensor,
    statistics: Tensor,
    moving: Tensor,
    weights: Tensor | None,
    numbers: Tensor,
    inner: Tensor,
    width: int,
    floor: float,
    scale: float,
    total: Tensor,
    gradient: Tensor | None,
    threads: int,
    /,
) -> None: ...
def mask_weights(
    fixed: Tensor | None,
    moving: Tensor | None,
    cells: Tensor | None,
    numbers: Tensor,
    inner: Tensor,
    least: float,
    weights: Tensor,
    threads: int,
    /,
) -> None: ...
def add_warped_difference(
    fixed: Tensor,
    moving: Tensor,
    weights: Tensor | None,
    numbers: Tensor,
    inner: Tensor,
    channels: int,
    scale: float,
    total: Tensor,
    gradient: Tensor,
    threads: int,
    /,
) -> None: ...
def winograd_panel(columns: int, /) -> int: ...
def winograd(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    taps: int,
    padding: int,
    leak: float,
    result: Tensor,
    threads: int,
    /,
) -> None: ...
def winograd_join(
    x: Tensor,
    weights: Tensor,
    skip: Tensor,
    prediction: Tensor,
    leak: float,
    joined: Tensor,
    threads: int,
    /,
) -> None: ...
def winograd_flow(
    x: Tensor, weights: Tensor, scale: float, flow: Tensor, threads: int, /
) -> None: ...
def weight_gradient(
    x: Tensor,
    gradient: Tensor,
    taps: int,
    stride: int,
    padding: int,
    result: Tensor,
    threads: int,
    /,
) -> None: ...
