"""The native operations against stock PyTorch, and PyTorch's own checks of them.

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

from voltween.losses import local_correlation_loss
from voltween.ops import _native, compose, native, stock, warp

ROOT = Path(__file__).parents[1]
SHAPES = [(1, 1, 1), (1, 5, 2), (7, 1, 70), (6, 5, 7), (18, 20, 67)]


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.rand(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype
    )


def flow_of(shape, batch=1, size=4.0, seed=3):
    """Flows of which many lead out of the grid."""
    return (numbers(batch, 3, *shape, seed=seed) - 0.5) * 2 * size


def cases():
    """Every operation with arguments, by name."""
    image, flow = numbers(2, 2, 5, 6, 7), flow_of((5, 6, 7), batch=2)
    fixed, moved = numbers(2, 1, 5, 6, 7, seed=1), numbers(2, 1, 5, 6, 7, seed=2)
    return {
        "warp": (image, flow, False),
        "compose_affine": (numbers(2, 12, seed=5), flow),
        "moments": (fixed, moved),
        "local_correlation": (fixed, moved, 3, 1e-5),
        "total_variation": (flow,),
        "jacobian": (flow,),
        "kernel_sums": (numbers(2, 9), 3.0),
    }


def tensors_of(arguments):
    return [value for value in arguments if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("name", cases())
def test_pytorch_accepts_the_operation(name):
    # Schema, autograd registration, fake tensors and tracing, as torch.compile needs.
    arguments = cases()[name]
    for tensor in tensors_of(arguments):
        tensor.requires_grad_()
    operation = getattr(torch.ops.voltween, name).default
    assert set(torch.library.opcheck(operation, arguments).values()) == {"SUCCESS"}


@pytest.mark.parametrize("name", cases())
def test_gradients_are_the_finite_differences(name):
    arguments = cases()[name]
    for tensor in tensors_of(arguments):
        tensor.requires_grad_()
    torch.autograd.gradcheck(getattr(native, name), arguments)


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_stock_operations(name, dtype):
    arguments = cases()[name]
    for tensor in tensors_of(arguments):
        tensor.requires_grad_()
    expected = getattr(stock, name)(*arguments)
    given = [x.detach().to(dtype) if torch.is_tensor(x) else x for x in arguments]
    for tensor in tensors_of(given):
        tensor.requires_grad_()
    value = getattr(native, name)(*given)
    weights = numbers(*expected.shape, seed=9)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(value.double(), expected, atol=tolerance, rtol=tolerance)
    ours = torch.autograd.grad((value.double() * weights).sum(), tensors_of(given))
    theirs = torch.autograd.grad((expected * weights).sum(), tensors_of(arguments))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            our.double(), their, atol=10 * tolerance, rtol=10 * tolerance
        )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("operation", [warp, compose])
def test_warp_of_any_size_within_and_beyond_the_border(shape, operation):
    flow = flow_of(shape, batch=2, size=6.0)
    image = numbers(2, 3, *shape, seed=4)
    expected = stock.warp(image, flow, operation is compose)
    single = operation(image.float(), flow.float())
    torch.testing.assert_close(operation(image, flow), expected, atol=1e-12, rtol=0)
    # 1e-5 of the value range, against flows of the same (single) precision.
    rounded = stock.warp(
        image.float().double(), flow.float().double(), operation is compose
    )
    torch.testing.assert_close(single.double(), rounded, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [1, 3, 5, 9])
def test_local_correlation_of_any_size_and_width(shape, width):
    fixed, moved = numbers(1, 1, *shape), numbers(1, 1, *shape, seed=1)
    loss = local_correlation_loss(fixed, moved, width=width)
    expected = 1 - stock.local_correlation(fixed, moved, width, 1e-6) / fixed.numel()
    torch.testing.assert_close(loss, expected.mean(), atol=1e-10, rtol=0)
    single = local_correlation_loss(fixed.float(), moved.float(), width=width)
    torch.testing.assert_close(single.double(), loss, atol=1e-5, rtol=0)


def test_local_correlation_wants_an_odd_width():
    with pytest.raises(ValueError, match="odd"):
        local_correlation_loss(numbers(1, 1, 4, 4, 4), numbers(1, 1, 4, 4, 4), width=4)


def test_a_flow_without_end_gives_the_border():
    image = numbers(1, 1, 4, 5, 6)
    flow = torch.zeros(1, 3, 4, 5, 6, dtype=torch.float64)
    flow[0, 0], flow[0, 2] = torch.inf, -torch.inf
    expected = image[:, :, -1:, :, :1].expand(image.shape)
    assert torch.equal(warp(image, flow), expected)
    assert torch.equal(warp(image.float(), flow.float()), expected.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_flow_that_is_no_number_gives_no_number(dtype):
    image, flow = (
        numbers(1, 1, 4, 5, 6, dtype=dtype),
        torch.zeros(1, 3, 4, 5, 6).to(dtype),
    )
    flow[0, 1, 2, 3, 4] = torch.nan
    image.requires_grad_()
    flow.requires_grad_()
    moved = warp(image, flow)
    assert moved.isnan().nonzero().tolist() == [[0, 0, 2, 3, 4]]
    assert torch.equal(stock.warp(image, flow, False).isnan(), moved.isnan())
    moved.nansum().backward()  # defined, whatever it is: no crash
    assert image.grad.shape == image.shape


def test_arrays_of_any_memory_layout():
    image = numbers(3, 7, 6, 2, 5).permute(3, 0, 4, 2, 1)[:, :, :, ::2]
    flow = flow_of((7, 5, 3)).permute(0, 1, 3, 4, 2).expand(2, -1, -1, -1, -1)
    assert not image.is_contiguous()
    assert not flow.is_contiguous()
    torch.testing.assert_close(warp(image, flow), stock.warp(image, flow, False))


@pytest.mark.parametrize("name", cases())
def test_results_do_not_depend_on_the_number_of_threads(name):
    shape = (40, 20, 33)
    image, flow = numbers(2, 3, *shape).float(), flow_of(shape, batch=2).float()
    arguments = {
        "warp": (image, flow, True),
        "compose_affine": (numbers(2, 12).float(), flow),
        "moments": (image[:, :1], image[:, 1:2]),
        "local_correlation": (image[:, :1], image[:, 1:2], 5, 1e-5),
        "total_variation": (flow,),
        "jacobian": (flow,),
        "kernel_sums": (numbers(2, 3000).float(), 20.0),
    }[name]
    results = [values_and_gradients(name, arguments, threads) for threads in (1, 2, 5)]
    for one, other in itertools.pairwise(results):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def values_and_gradients(name, arguments, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        leaves = [
            x.clone().requires_grad_() if torch.is_tensor(x) else x for x in arguments
        ]
        value = getattr(native, name)(*leaves)
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
    assert native.instruction_set() == wanted


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
    assert "Voltween needs a C++ compiler to be installed from source" in message


WRONG_SHAPES = {
    "warp": (numbers(1, 1, 4, 4, 4), flow_of((4, 4, 4), batch=2), False),
    "warp, composition": (numbers(1, 2, 4, 4, 4), flow_of((4, 4, 4)), True),
    "compose_affine": (numbers(2, 12), flow_of((4, 4, 4))),
    "moments": (numbers(1, 1, 4, 4, 4), numbers(1, 1, 4, 4, 2)),
    "local_correlation": (numbers(1, 1, 4, 4, 4), numbers(2, 1, 2, 4, 4), 3, 1e-5),
    "total_variation": (numbers(1, 2, 4, 4, 4),),
    "jacobian": (numbers(1, 2, 4, 4, 4),),
}


@pytest.mark.parametrize("name", WRONG_SHAPES)
def test_wrong_shapes_are_refused_before_memory_is_touched(name):
    with pytest.raises(ValueError, match="must have shape"):
        getattr(native, name.split(",")[0])(*WRONG_SHAPES[name])


FLAT = {
    "warp": (numbers(1, 1, 4, 4), numbers(1, 3, 4, 4), False),
    "compose_affine": (numbers(1, 12), numbers(1, 3, 4, 4)),
    "moments": (numbers(1, 1, 4, 4), numbers(1, 1, 4, 4)),
    "local_correlation": (numbers(1, 1, 4, 4), numbers(1, 1, 4, 4), 3, 1e-5),
    "total_variation": (numbers(1, 3, 4, 4),),
    "jacobian": (numbers(1, 3, 4, 4),),
}


@pytest.mark.parametrize("name", FLAT)
def test_flat_images_are_refused(name):
    with pytest.raises(ValueError, match=r"shape \(B, C, I, J, K\)"):
        getattr(native, name)(*FLAT[name])


WRONG_ARRAYS = {
    "image of four axes": (0, numbers(1, 4, 4, 4)),
    "flow of four axes": (1, numbers(3, 4, 4, 4)),
    "result of four axes": (3, numbers(1, 4, 4, 4)),
    "result not contiguous": (3, numbers(1, 1, 4, 4, 8)[..., ::2]),
}


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_bindings_refuse_arrays_that_a_kernel_cannot_use(name):
    arguments = [numbers(1, 1, 4, 4, 4), flow_of((4, 4, 4)), False, None, 1]
    arguments[3] = torch.empty_like(arguments[0])
    place, array = WRONG_ARRAYS[name]
    arguments[place] = array
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _native.warp(*arguments)
