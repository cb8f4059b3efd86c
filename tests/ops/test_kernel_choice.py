"""Exact kernels: the same bits with every instruction set, and the fastest set kept."""

import itertools
import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest
import torch

from support.native import compiled
from support.tensors import random_flow, random_numbers
from voltween.ops import (
    MaskWeights,
    WarpedCorrelation,
    WarpedFeatures,
    Window,
    add_folding,
    add_variation,
    instruction_set,
    instruction_sets,
    kernel_choice,
    using_instructions,
)
from voltween.ops.affine import COMPOSE_AFFINE
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

KERNEL = "warp float32, large"
SHAPES = [(1, 1, 1), (1, 5, 2), (7, 1, 33), (9, 8, 1), (5, 6, 16), (18, 11, 131)]
each_precision = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def bits(tensor):
    """The numbers as whole numbers, and all that are not numbers as one."""
    whole = torch.int32 if tensor.dtype == torch.float32 else torch.int64
    return tensor.detach().contiguous().view(whole).masked_fill(tensor.isnan(), -1)


def have_the_same_bits(results):
    return all(
        torch.equal(bits(one), bits(other))
        for first, second in itertools.pairwise(results)
        for one, other in zip(first, second, strict=True)
    )


def with_every_set(operation, *arguments):
    """Value and gradients of an operation with every set of this processor."""
    results = []
    for name in instruction_sets():
        leaves = [
            x.clone().requires_grad_() if torch.is_tensor(x) else x for x in arguments
        ]
        tensors = [x for x in leaves if torch.is_tensor(x)]
        with using_instructions(name):
            value = operation.compiled(*leaves)
            weights = random_numbers(*value.shape, seed=9).to(value.dtype)
            gradients = torch.autograd.grad((value * weights).sum(), tensors)
        results.append([value, *gradients])
    return results


@each_precision
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_warp_has_the_same_bits_with_every_set(shape, channels, dtype):
    image = random_numbers(2, channels, *shape, seed=3).to(dtype)
    flow = random_flow(shape, batch=2, size=6.0).to(dtype)
    assert have_the_same_bits(with_every_set(WARP, image, flow, False))
    if channels == 3:
        assert have_the_same_bits(with_every_set(WARP, image, flow, True))


@each_precision
def test_positions_on_voxels_and_borders_have_the_same_bits_with_every_set(dtype):
    shape = (4, 5, 21)
    image = random_numbers(1, 2, *shape, seed=3).to(dtype)
    flow = random_flow(shape, size=4.0).to(dtype).round()  # slopes jump there
    flow[..., 1::7] += torch.finfo(dtype).eps
    flow[..., ::3] = -0.0
    results = with_every_set(WARP, image, flow, False)
    assert have_the_same_bits(results)
    assert torch.equal(results[0][0][..., ::3], image[..., ::3])


@each_precision
def test_flows_that_are_no_numbers_have_the_same_bits_with_every_set(dtype):
    image = random_numbers(1, 2, 4, 5, 37, seed=3).to(dtype)
    flow = random_flow((4, 5, 37), size=3.0).to(dtype)
    strange = [
        torch.nan,
        torch.inf,
        -torch.inf,
        3e9,
        -3e9,
        1e30,
        2.0**23 + 1,
        -(2.0**53),
    ]
    for number, value in enumerate(strange):
        flow[0, number % 3, number % 4, :, number::11] = value
    values = [result[:1] for result in with_every_set(WARP, image, flow, False)]
    assert have_the_same_bits(values)
    assert torch.equal(values[0][0].isnan().any(1), flow.isnan().any(1))


@each_precision
def test_an_image_that_is_not_finite_has_the_same_bits_with_every_set(dtype):
    image = random_numbers(1, 1, 6, 5, 35, seed=3).to(dtype)
    image[..., 2, 4::9], image[..., 3, 5::8] = torch.nan, torch.inf
    flow = random_flow((6, 5, 35), size=2.0).to(dtype)
    assert have_the_same_bits(with_every_set(WARP, image, flow, False))


@each_precision
@pytest.mark.parametrize(
    "operation", [JACOBIAN, MOMENTS, INTERLEAVE], ids=lambda o: o.name
)
def test_exact_kernels_have_the_same_bits_with_every_set(operation, dtype):
    shape = (7, 6, 37)
    fixed, moved = (random_numbers(2, 1, *shape, seed=n).to(dtype) for n in (1, 2))
    arguments = {
        JACOBIAN: (random_flow(shape, batch=2).to(dtype),),
        MOMENTS: (fixed, moved),
        INTERLEAVE: (random_numbers(2, 24, 4, 5, 19, seed=7).to(dtype), 0.7),
    }
    assert have_the_same_bits(with_every_set(operation, *arguments[operation]))


@each_precision
def test_affine_compositions_have_the_same_bits_with_every_set(dtype):
    numbers = random_numbers(2, 12, seed=5).to(dtype)
    flow = random_flow((7, 6, 37), batch=2).to(dtype)
    values = [result[:1] for result in with_every_set(COMPOSE_AFFINE, numbers, flow)]
    assert have_the_same_bits(values)


@each_precision
@pytest.mark.parametrize(
    "operation",
    [LOCAL_CORRELATION, JOINT_HISTOGRAM, SPREAD, TOTAL_VARIATION, KERNEL_SUMS, JOIN],
    ids=lambda o: o.name,
)
def test_sums_and_layers_have_the_same_bits_with_every_set(operation, dtype):
    shape = (7, 6, 37)
    fixed, moved, counts = (
        random_numbers(2, 1, *shape, seed=n).to(dtype) for n in (1, 2, 3)
    )
    skip = random_numbers(1, 4, 4, 6, 8, seed=4).to(dtype)
    phases = random_numbers(1, 40, 3, 4, 5, seed=5).to(dtype) - 0.5
    arguments = {
        LOCAL_CORRELATION: (fixed, moved, 5, 1e-6),
        JOINT_HISTOGRAM: (fixed, moved, counts, 8),
        SPREAD: (random_numbers(2, 3, 3, 2, 9, seed=6).to(dtype), list(shape)),
        TOTAL_VARIATION: (random_flow(shape, batch=2).to(dtype),),
        KERNEL_SUMS: (random_numbers(2, 301, seed=7).to(dtype), 20.0),
        JOIN: (skip, phases, phases[:, :24].contiguous(), 0.1),
    }
    assert have_the_same_bits(with_every_set(operation, *arguments[operation]))


@each_precision
def test_gradients_of_an_affine_composition_have_the_same_bits_with_every_set(dtype):
    numbers = random_numbers(2, 12, seed=5).to(dtype)
    flow = random_flow((7, 6, 37), batch=2).to(dtype)
    assert have_the_same_bits(with_every_set(COMPOSE_AFFINE, numbers, flow))


@each_precision
def test_values_with_added_gradients_have_the_same_bits_with_every_set(dtype):
    shape = (9, 7, 37)
    fixed, moving = (random_numbers(1, 1, *shape, seed=n).to(dtype) for n in (1, 2))
    flow = random_flow(shape, size=2.0).to(dtype)
    numbers = 0.1 * random_numbers(1, 12, seed=5).to(dtype)
    mask = (random_numbers(1, 1, *shape, seed=6) > 0.1).to(dtype)
    results = []
    for name in instruction_sets():
        gradient = torch.zeros_like(flow)
        to = {"scale": 3.0, "gradient": gradient}
        with using_instructions(name):
            correlation = WarpedCorrelation(fixed, moving, Window(5, 1e-6))
            features = WarpedFeatures(
                fixed.repeat(1, 17, 1, 1, 1), moving.repeat(1, 17, 1, 1, 1), 1.0
            )
            weights = MaskWeights(mask, mask, 0.9).at(numbers, flow)
            values = [
                correlation.add(numbers, flow, None, **to),
                correlation.add(numbers, flow, weights, **to),
                features.add(numbers, flow, weights, **to),
                add_folding(flow, 0.9, **to),
                add_variation(flow, **to),
            ]
        results.append([torch.tensor(values, dtype=torch.float64), gradient, weights])
    assert have_the_same_bits(results)


def test_trying_a_kernel_that_adds_adds_nothing(cache, monkeypatch):
    flow = random_flow((40, 20, 20)).float()
    with using_instructions(instruction_sets()[-1]):
        expected = torch.zeros_like(flow)
        add_variation(flow, scale=1.0, gradient=expected)
    gradient = torch.zeros_like(flow)
    add_variation(flow, scale=1.0, gradient=gradient)
    assert torch.equal(gradient, expected)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel_choice, "_in_use", {})
    return tmp_path / "voltween" / "kernels"


def trial(fastest):
    """A trial in which one set is the fastest."""
    return lambda: {n: 1.0 if n == fastest else 2.0 for n in instruction_sets()}


def no_trial():
    pytest.fail("the choice was kept")


@pytest.mark.parametrize("fastest", instruction_sets())
def test_the_fastest_set_is_chosen_and_kept(cache, fastest):
    assert kernel_choice.decide(KERNEL, trial(fastest)) == fastest
    assert kernel_choice.decide(KERNEL, no_trial) == fastest
    assert kernel_choice.kernel_choices() == {KERNEL: fastest}
    (file,) = cache.iterdir()
    record = json.loads(file.read_text())
    assert record["choices"] == {KERNEL: fastest}
    assert record["build"]["processor"] == _native.processor()


@pytest.mark.parametrize(
    "damaged",
    [
        *(b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"choices": 3}'),
        b'{"build": {"processor": "another"}, "choices": {"%s": "plain"}}',
        b'{"build": BUILD, "choices": ["plain"]}',
        b'{"build": BUILD, "choices": {"KERNEL": "sse9"}}',
        b'{"build": BUILD, "choices": {"KERNEL": ["plain"]}}',
    ],
)
def test_a_damaged_file_is_ignored_and_written_anew(cache, damaged):
    last = instruction_sets()[-1]
    kernel_choice.decide(KERNEL, trial(last))
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    build = json.dumps(json.loads(whole)["build"]).encode()
    damaged = damaged.replace(b"BUILD", build).replace(b"KERNEL", KERNEL.encode())
    file.write_bytes(damaged)
    assert kernel_choice.decide(KERNEL, trial(last)) == last
    assert file.read_bytes() == whole


def test_a_choice_of_other_kernels_is_not_used(cache, monkeypatch):
    first, last = instruction_sets()[0], instruction_sets()[-1]
    kernel_choice.decide(KERNEL, trial(last))
    monkeypatch.setattr(
        kernel_choice, "_build", lambda: {"processor": "new", "module": "0"}
    )
    assert kernel_choice.decide(KERNEL, trial(first)) == first
    assert len(list(cache.iterdir())) == 2


def test_no_place_to_keep_a_choice_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for name in instruction_sets():
        assert kernel_choice.decide(KERNEL, trial(name)) == name


def test_no_home_is_no_error(monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(kernel_choice.Path, "home", fail)
    last = instruction_sets()[-1]
    assert kernel_choice.decide(KERNEL, trial(last)) == last


def test_many_writers_leave_a_whole_file(cache):
    last = instruction_sets()[-1]
    kernels = [f"kernel {number}" for number in range(12)]
    writers = [
        threading.Thread(target=kernel_choice.decide, args=(kernel, trial(last)))
        for kernel in kernels
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (file,) = cache.iterdir()  # and nothing unfinished beside it
    kept = json.loads(file.read_text())["choices"]
    assert kept
    assert set(kept) <= set(kernels)
    assert set(kept.values()) == {last}


PROGRAM = """
import os, json, torch
from voltween import ops
from voltween.ops import kernel_choice
cache = os.path.join(os.environ["XDG_CACHE_HOME"], "voltween")
decide, trials = kernel_choice.decide, {}

def watched(kernel, measure):
    def measured():
        trials[kernel] = measure()
        return trials[kernel]
    return decide(kernel, measured)

kernel_choice.decide = watched
ops.warp(torch.rand(1, 1, 9, 9, 9), torch.zeros(1, 3, 9, 9, 9))
early = os.path.exists(cache)
for side in (20, 20, 52):
    flow = torch.rand(1, 3, side, side, side)
    image = torch.rand(1, 2, side, side, side)
    assert torch.equal(ops.warp(image, torch.zeros_like(flow)), image)
names = sorted(ops.kernel_choices()) if os.path.exists(cache) else None
print(json.dumps([early, trials, names, ops.instruction_set()]))
"""


def output_of(program, **environment):
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


@pytest.mark.skipif(len(instruction_sets()) == 1, reason="there is one set alone")
def test_trials_are_at_first_use_and_once_for_all_processes(tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path), "VOLTWEEN_INSTRUCTIONS": ""}
    early, trials, names, _ = output_of(PROGRAM, **environment)
    assert not early  # of few voxels, or of none: no trial and no file
    assert names == ["warp float32, large", "warp float32, small"]
    assert sorted(trials) == names
    for seconds in trials.values():
        assert sorted(seconds) == sorted(instruction_sets())
        assert all(0 < value < 10 for value in seconds.values())
    assert output_of(PROGRAM, **environment)[1] == {}


def test_the_environment_overrides_all_choices(tmp_path):
    last = instruction_sets()[-1]
    environment = {"XDG_CACHE_HOME": str(tmp_path), "VOLTWEEN_INSTRUCTIONS": last}
    assert output_of(PROGRAM, **environment) == [False, {}, None, last]


def test_one_set_is_used_within_the_context_only():
    before = instruction_set()
    for name in instruction_sets():
        with using_instructions(name):
            assert instruction_set() == name
        assert instruction_set() == before
