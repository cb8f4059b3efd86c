"""The compiled operations against their stock forms, and PyTorch's own checks.

Run with VOLTWEEN_INSTRUCTIONS=plain (avx2, avx512) to test an instruction set.
"""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support.devices import each_device, on
from support.native import compiled
from support.tensors import random_flow, random_numbers
from voltween.ops import instruction_set
from voltween.ops.affine import COMPOSE_AFFINE
from voltween.ops.arguments import lay_out
from voltween.ops.histograms import JOINT_HISTOGRAM
from voltween.ops.interleaving import INTERLEAVE, JOIN
from voltween.ops.jacobian import JACOBIAN
from voltween.ops.local_correlation import LOCAL_CORRELATION
from voltween.ops.moment_sums import MOMENTS
from voltween.ops.pairwise_kernels import KERNEL_SUMS
from voltween.ops.spreading import SPREAD
from voltween.ops.variation import TOTAL_VARIATION
from voltween.ops.warping import WARP

_native = compiled("ops")

ROOT = Path(__file__).parents[2]
SHAPES = [(1, 1, 1), (1, 5, 2), (7, 1, 70), (6, 5, 7), (18, 20, 67)]


def arguments_of(shape, dtype=torch.float64):
    """Arguments of every operation on a grid; `join` needs even sides."""
    image, flow = random_numbers(2, 2, *shape), random_flow(shape, batch=2)
    fixed, moved = (random_numbers(2, 1, *shape, seed=seed) for seed in (1, 2))
    coarse = [n // 2 + 1 for n in shape]
    features = random_numbers(2, 16, *coarse, seed=6) - 0.5
    phases = random_numbers(2, 24, *coarse, seed=7)
    arguments = {
        WARP: (image, flow, False),
        COMPOSE_AFFINE: (random_numbers(2, 12, seed=5), flow),
        MOMENTS: (fixed, moved),
        LOCAL_CORRELATION: (fixed, moved, 3, 1e-5),
        TOTAL_VARIATION: (flow,),
        JACOBIAN: (flow,),
        JOINT_HISTOGRAM: (fixed, moved, random_numbers(2, 1, *shape, seed=3), 5),
        SPREAD: (random_numbers(2, 2, *coarse, seed=8), list(shape)),
        KERNEL_SUMS: (random_numbers(2, 9), 3.0),
        JOIN: (image, features, phases, 0.1),
        INTERLEAVE: (phases, 2.0),
    }
    return {
        operation: tuple(x.to(dtype) if torch.is_tensor(x) else x for x in values)
        for operation, values in arguments.items()
    }


OPERATIONS = list(arguments_of((2, 2, 2)))
# Compiled functions without an operation: voltween.ops.adding, and weight_gradients.
IN_ONE_CALL = {
    "add_folding",
    "add_variation",
    "add_warped_correlation",
    "add_warped_difference",
    "cube_statistics",
    "mask_weights",
    "weight_gradient",
}
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)


def with_gradients(arguments):
    """Copies of the arguments, of whose tensors gradients can be taken."""
    return tuple(
        x.detach().clone().requires_grad_() if torch.is_tensor(x) else x
        for x in arguments
    )


def tensors_of(arguments):
    return [value for value in arguments if isinstance(value, torch.Tensor)]


def test_every_compiled_function_has_its_operation():
    compiled = {name for name in dir(_native) if not name.startswith("_")}
    names = [operation.name for operation in OPERATIONS]
    others = {"instruction_set", "instruction_sets", "processor", "use", *IN_ONE_CALL}
    expected = {*names, *(f"{name}_backward" for name in names)}
    without_gradient = {name for name in compiled if name.startswith("winograd")}
    assert compiled - without_gradient - others == expected


@each_operation
def test_pytorch_accepts_the_operation(operation):
    # Schema, autograd registration, fake tensors and tracing, as torch.compile needs.
    arguments = with_gradients(arguments_of((4, 2, 6))[operation])
    overload = getattr(torch.ops.voltween, operation.name).default
    assert set(torch.library.opcheck(overload, arguments).values()) == {"SUCCESS"}


@each_operation
def test_gradients_are_the_finite_differences(operation):
    shape = (2, 2, 2) if operation in (JOIN, INTERLEAVE) else (3, 4, 3)
    arguments = with_gradients(arguments_of(shape)[operation])
    torch.autograd.gradcheck(operation.compiled, arguments)


@each_operation
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_the_stock_form(operation, dtype):
    exact = with_gradients(arguments_of((6, 4, 8))[operation])
    arguments = with_gradients(arguments_of((6, 4, 8), dtype)[operation])
    expected, value = operation.stock(*exact), operation.compiled(*arguments)
    weights = random_numbers(*expected.shape, seed=9)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(value.double(), expected, atol=tolerance, rtol=tolerance)
    ours = torch.autograd.grad((value.double() * weights).sum(), tensors_of(arguments))
    theirs = torch.autograd.grad((expected * weights).sum(), tensors_of(exact))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            our.double(), their, atol=10 * tolerance, rtol=10 * tolerance
        )


@each_operation
def test_tensors_of_other_devices_take_the_stock_form(operation):
    # The device "meta" has shapes only: the stock form must get there and work on them.
    arguments = [
        x.to("meta") if torch.is_tensor(x) else x
        for x in arguments_of((4, 2, 6))[operation]
    ]
    expected = operation.compiled(*arguments_of((4, 2, 6))[operation])
    result = operation(*arguments)
    assert result.device.type == "meta"
    assert result.shape == expected.shape


@each_device
@each_operation
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_stock_form_is_right_on_every_device(operation, device, dtype):
    """Values and gradients are those of the compiled form in double precision."""
    exact = with_gradients(arguments_of((6, 4, 8))[operation])
    arguments = with_gradients(on(device, *arguments_of((6, 4, 8), dtype)[operation]))
    expected, value = operation.compiled(*exact), operation.stock(*arguments)
    assert value.device.type == device
    weights = random_numbers(*expected.shape, seed=9)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    as_close = {"atol": tolerance, "rtol": tolerance}
    torch.testing.assert_close(value.double().cpu(), expected, **as_close)
    total = (value.double() * weights.to(device)).sum()
    ours = torch.autograd.grad(total, tensors_of(arguments))
    theirs = torch.autograd.grad((expected * weights).sum(), tensors_of(exact))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our.double().cpu(), their, **as_close)


@each_operation
def test_only_wanted_gradients_are_returned(operation):
    arguments = arguments_of((4, 2, 6))[operation]
    everything = with_gradients(arguments)
    result = operation.compiled(*everything)
    expected = torch.autograd.grad(result.sum(), tensors_of(everything))
    for place, gradient in enumerate(expected):
        one = list(arguments)
        one[place] = one[place].clone().requires_grad_()
        operation.compiled(*one).sum().backward()
        assert torch.equal(one[place].grad, gradient)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_composition", [False, True])
def test_warp_of_any_size_within_and_beyond_the_border(shape, is_composition):
    flow = random_flow(shape, batch=2, size=6.0)
    image = random_numbers(2, 3, *shape, seed=4)
    expected = WARP.stock(image, flow, is_composition)
    double = WARP(image, flow, is_composition)
    single = WARP(image.float(), flow.float(), is_composition)
    torch.testing.assert_close(double, expected, atol=1e-12, rtol=0)
    # 1e-5 of the value range, against flows of the same (single) precision.
    rounded = [image.float().double(), flow.float().double()]
    expected = WARP.stock(*rounded, is_composition)
    torch.testing.assert_close(single.double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [1, 3, 5, 9])
def test_local_correlation_of_any_size_and_width(shape, width):
    images = [random_numbers(1, 1, *shape, seed=seed) for seed in (0, 1)]
    expected = LOCAL_CORRELATION.stock(*images, width, 1e-6) / images[0].numel()
    double = LOCAL_CORRELATION(*images, width, 1e-6) / images[0].numel()
    torch.testing.assert_close(double, expected, atol=1e-10, rtol=0)
    single = LOCAL_CORRELATION(*(image.float() for image in images), width, 1e-6)
    torch.testing.assert_close(single / images[0].numel(), double, atol=1e-5, rtol=0)


def test_an_infinite_flow_gives_the_border():
    image = random_numbers(1, 1, 4, 5, 6)
    flow = torch.zeros(1, 3, 4, 5, 6, dtype=torch.float64)
    flow[0, 0], flow[0, 2] = torch.inf, -torch.inf
    expected = image[:, :, -1:, :, :1].expand(image.shape)
    assert torch.equal(WARP(image, flow, False), expected)
    assert torch.equal(WARP(image.float(), flow.float(), False), expected.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_in_the_flow_gives_nan(dtype):
    image = random_numbers(1, 1, 4, 5, 6, dtype=dtype).requires_grad_()
    flow = torch.zeros(1, 3, 4, 5, 6, dtype=dtype)
    flow[0, 1, 2, 3, 4] = torch.nan
    flow.requires_grad_()
    for form in (WARP.compiled, WARP.stock):
        moved = form(image, flow, False)
        assert moved.isnan().nonzero().tolist() == [[0, 0, 2, 3, 4]]
    WARP.compiled(image, flow, False).nansum().backward()
    assert image.grad.shape == image.shape  # its value there is undefined: no crash


def test_arrays_of_any_memory_layout():
    image = random_numbers(3, 7, 6, 2, 5).permute(3, 0, 4, 2, 1)[:, :, :, ::2]
    flow = random_flow((7, 5, 3)).permute(0, 1, 3, 4, 2).expand(2, -1, -1, -1, -1)
    assert not image.is_contiguous()
    assert not flow.is_contiguous()
    expected = WARP.stock(image, flow, False)
    torch.testing.assert_close(WARP(image, flow, False), expected)


@each_operation
def test_results_do_not_depend_on_the_number_of_threads(operation):
    arguments = arguments_of((40, 20, 34), torch.float32)[operation]
    if operation is KERNEL_SUMS:
        arguments = (random_numbers(2, 3000).float(), 20.0)
    results = [
        values_and_gradients(operation, arguments, threads) for threads in (1, 2, 5)
    ]
    for one, other in itertools.pairwise(results):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def values_and_gradients(operation, arguments, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        leaves = with_gradients(arguments)
        value = operation.compiled(*leaves)
        gradients = torch.autograd.grad(value.square().sum(), tensors_of(leaves))
        return [value, *gradients]
    finally:
        torch.set_num_threads(before)


def loaded_with(name):
    """The compiled module loaded by itself, with the instruction set named."""
    folder = Path(_native.__file__).parent
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import _native as n"
    return subprocess.run(
        [sys.executable, "-c", f"{code}; print(n.instruction_set())"],
        env=os.environ | {"VOLTWEEN_INSTRUCTIONS": name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_instruction_set_can_be_chosen():
    for name in _native.instruction_sets():
        assert loaded_with(name).stdout.strip() == name
    assert loaded_with("").stdout.strip() == _native.instruction_sets()[0]
    wrong = loaded_with("sse9")
    assert wrong.returncode != 0
    assert "one of those this processor has" in wrong.stderr


def test_the_one_set_is_in_use():
    wanted = os.environ.get("VOLTWEEN_INSTRUCTIONS") or _native.instruction_sets()[0]
    assert instruction_set() == wanted


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_a_missing_compiler_is_named_in_one_line(tmp_path):
    path = tmp_path / "path"
    path.mkdir()
    for tool in ("cmake", "make"):
        if found := shutil.which(tool):
            (path / tool).symlink_to(found)
    command = [str(path / "cmake"), "-S", str(ROOT), "-B", str(tmp_path / "build")]
    process = subprocess.run(
        [*command, "-G", "Unix Makefiles"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode != 0
    message = " ".join(process.stderr.split())
    assert "Voltween needs a C++ compiler for its native operations" in message


def images(*shape):
    return random_numbers(*shape)


WRONG_SHAPES = {
    "warp": (WARP, images(1, 1, 4, 4, 4), random_flow((4, 4, 4), batch=2), False),
    "composition": (WARP, images(1, 2, 4, 4, 4), random_flow((4, 4, 4)), True),
    "compose_affine": (COMPOSE_AFFINE, images(2, 12), random_flow((4, 4, 4))),
    "moments": (MOMENTS, images(1, 1, 4, 4, 4), images(1, 1, 4, 4, 2)),
    "local_correlation": (
        LOCAL_CORRELATION,
        *(images(1, 1, 4, 4, 4), images(2, 1, 2, 4, 4)),
        *(3, 1e-5),
    ),
    "total_variation": (TOTAL_VARIATION, images(1, 2, 4, 4, 4)),
    "jacobian": (JACOBIAN, images(1, 2, 4, 4, 4)),
    "joint_histogram": (
        JOINT_HISTOGRAM,
        *(images(1, 1, 4, 4, 4), images(1, 1, 4, 4, 4), images(1, 1, 4, 2, 4)),
        5,
    ),
    "spread": (SPREAD, images(1, 2, 4, 4), [4, 4, 4]),
}


@pytest.mark.parametrize("case", WRONG_SHAPES.values(), ids=WRONG_SHAPES)
def test_wrong_shapes_are_refused_before_memory_is_touched(case):
    operation, *arguments = case
    with pytest.raises(ValueError, match="must have shape"):
        operation.compiled(*arguments)


@pytest.mark.parametrize(
    "wrong", [{"features": (2, 8, 3, 2, 3)}, {"prediction": (1, 24, 3, 2, 4)}]
)
def test_phases_of_another_grid_are_refused(wrong):
    shapes = {"features": (2, 8, 3, 2, 4), "prediction": (2, 24, 3, 2, 4)} | wrong
    phases = [images(*shape) for shape in shapes.values()]
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must have 2 items"):
        JOIN.compiled(images(2, 1, 4, 2, 6), *phases, 0.1)


def backward_of(operation):
    return getattr(torch.ops.voltween, f"{operation.name}_backward")


def calls_of_backward():
    """The arguments of every backward operation; tensors by their shapes."""
    flow, both = (2, 3, 4, 2, 6), [True, True]
    return {
        WARP: [(2, 2, 4, 2, 6), flow, (2, 2, 4, 2, 6), False, both],
        COMPOSE_AFFINE: [(2, 12), flow, flow],
        MOMENTS: [(2, 1, 4, 2, 6), (2, 1, 4, 2, 6), (2, 5), both],
        LOCAL_CORRELATION: [
            *((2, 1, 4, 2, 6), (2, 1, 4, 2, 6), (2,)),
            *(3, 1e-5, both),
        ],
        TOTAL_VARIATION: [flow, (2,)],
        JACOBIAN: [flow, (2, 4, 2, 6)],
        JOINT_HISTOGRAM: [
            *((2, 1, 4, 2, 6), (2, 1, 4, 2, 6), (2, 1, 4, 2, 6), (2, 5, 5)),
            *(5, [True] * 3),
        ],
        SPREAD: [(2, 2, 3, 2, 4), (2, 2, 4, 2, 6)],
        KERNEL_SUMS: [(2, 9), (9,), 3.0],
        JOIN: [(2, 7, 4, 2, 6), (2, 7, 4, 2, 6), 2, 0.1],
        INTERLEAVE: [flow, 2.0],
    }


def run_backward(operation, arguments):
    return backward_of(operation)(
        *(random_numbers(*a) if isinstance(a, tuple) else a for a in arguments)
    )


# Axes whose size nothing else fixes: of points, and of a gradient that comes alone.
FREE_AXES = {
    KERNEL_SUMS: [(0, 0)],
    TOTAL_VARIATION: [(0, n) for n in (2, 3, 4)],
    INTERLEAVE: [(0, n) for n in (0, 2, 3, 4)],
    SPREAD: [(place, n) for place in (0, 1) for n in (2, 3, 4)],
}


def wrong_backward_calls():
    """Every tensor of every backward operation with a longer or a further axis."""
    for operation, arguments in calls_of_backward().items():
        for place, shape in enumerate(arguments):
            if not isinstance(shape, tuple):
                continue
            wrong = [(1, *shape)]
            for axis in range(len(shape)):
                if (place, axis) not in FREE_AXES.get(operation, []):
                    wrong.append((*shape[:axis], shape[axis] + 1, *shape[axis + 1 :]))
            for one in wrong:
                changed = [*arguments[:place], one, *arguments[place + 1 :]]
                name = f"{operation.name}-{place}-{one}"
                yield pytest.param(operation, changed, id=name)


@each_operation
def test_backward_operations_take_these_shapes(operation):
    run_backward(operation, calls_of_backward()[operation])


@pytest.mark.parametrize(("operation", "arguments"), [*wrong_backward_calls()])
def test_wrong_shapes_of_backward_operations_are_refused(operation, arguments):
    with pytest.raises(ValueError, match="must have shape"):
        run_backward(operation, arguments)


@pytest.mark.parametrize("channels", [-1, 5, 2**40])
def test_a_wrong_number_of_channels_is_refused(channels):
    joined = images(2, 7, 4, 2, 6)
    with pytest.raises(ValueError, match="skip_channels must be within 0 and 4"):
        backward_of(JOIN)(joined, joined, channels, 0.1)


@pytest.mark.parametrize("operation", [WARP, MOMENTS, LOCAL_CORRELATION])
def test_other_than_two_wanted_gradients_are_refused(operation):
    arguments = calls_of_backward()[operation]
    with pytest.raises(ValueError, match="2 truth values, got 1"):
        run_backward(operation, [*arguments[:-1], [True]])


@pytest.mark.parametrize("width", [0, -1, 2, 2**31, -(2**62)])
def test_windows_without_a_middle_are_refused(width):
    pair = images(1, 1, 4, 2, 6), images(1, 1, 4, 2, 6)
    for call in (
        lambda: LOCAL_CORRELATION.compiled(*pair, width, 1e-5),
        lambda: LOCAL_CORRELATION.stock(*pair, width, 1e-5),
        lambda: backward_of(LOCAL_CORRELATION)(
            *pair, images(1), width, 1e-5, [True, True]
        ),
    ):
        with pytest.raises(ValueError, match=f"odd number of voxels > 0, got {width}"):
            call()


@pytest.mark.parametrize("width", [13, 2**31 + 1, 2**62 + 1])
def test_windows_wider_than_the_volume_are_the_volume(width):
    pair = [random_numbers(1, 1, 4, 2, 6, seed=seed) for seed in (0, 1)]
    results = []
    for wide in (11, width):
        leaves = with_gradients(pair)
        value = LOCAL_CORRELATION.compiled(*leaves, wide, 1e-5)
        results.append([value, *torch.autograd.grad(value.sum(), leaves)])
        stock = LOCAL_CORRELATION.stock(*pair, wide, 1e-5)
        torch.testing.assert_close(value, stock)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 4, 2, 6), (2, 8, 3, 2, 4), (2, 24, 3, 2, 4)],
        [(2, 1, 4, 2, 6), (2, 9, 3, 2, 4), (2, 24, 3, 2, 4)],
        [(2, 1, 4, 2, 6), (2, 8, 3, 2, 4), (2, 16, 3, 2, 4)],
        [(2, 1, 4, 2, 6), (2, 8, 3, 2), (2, 24, 3, 2, 4)],
    ],
)
def test_other_channels_of_phases_are_refused(shapes):
    with pytest.raises(ValueError, match="must have shape"):
        JOIN.compiled(*(images(*shape) for shape in shapes), 0.1)


@pytest.mark.parametrize("shape", [(2, 23, 3, 2, 4), (24, 3, 2, 4)])
def test_other_phases_of_a_flow_are_refused(shape):
    with pytest.raises(ValueError, match="phases must have shape"):
        INTERLEAVE.compiled(images(*shape), 2.0)


FLAT = {
    WARP: (images(1, 1, 4, 4), images(1, 3, 4, 4), False),
    COMPOSE_AFFINE: (images(1, 12), images(1, 3, 4, 4)),
    MOMENTS: (images(1, 1, 4, 4), images(1, 1, 4, 4)),
    LOCAL_CORRELATION: (images(1, 1, 4, 4), images(1, 1, 4, 4), 3, 1e-5),
    TOTAL_VARIATION: (images(1, 3, 4, 4),),
    JACOBIAN: (images(1, 3, 4, 4),),
}


@pytest.mark.parametrize("operation", FLAT, ids=lambda o: o.name)
def test_flat_images_are_refused(operation):
    with pytest.raises(ValueError, match=r"shape \(B, C, I, J, K\)"):
        operation.compiled(*FLAT[operation])


def test_volumes_beyond_32_bits_are_refused():
    huge = torch.zeros(1).expand(1, 1, 2, 2**15, 2**15)  # takes no memory
    with pytest.raises(ValueError, match="at most 2147483647 voxels"):
        lay_out(huge)


WRONG_ARRAYS = {
    "image of four axes": (0, random_numbers(1, 4, 4, 4)),
    "flow of four axes": (1, random_numbers(3, 4, 4, 4)),
    "result of four axes": (3, random_numbers(1, 4, 4, 4)),
    "result not contiguous": (3, random_numbers(1, 1, 4, 4, 8)[..., ::2]),
}


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_bindings_refuse_arrays_that_a_kernel_cannot_use(name):
    image, flow = random_numbers(1, 1, 4, 4, 4), random_flow((4, 4, 4))
    arguments = [image, flow, False, torch.empty_like(image), 1]
    place, array = WRONG_ARRAYS[name]
    arguments[place] = array
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _native.warp(*arguments)
