"""A user's function as the similarity: what it gets, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from support.known_pair import error_mm, known_pair
from support.scans import FIXED, MOVING
from voltween import register
from voltween.errors import InputError
from voltween.losses import local_correlation_loss, mean_squared_error
from voltween.ops import FlowParts
from voltween.refinement import (
    FAST_ALONE,
    AffineLevel,
    Level,
    PairTensors,
    Problem,
    Refinement,
    SideTensors,
    Watch,
    find_affine_part,
    find_dense_part,
    find_transform,
)
from voltween.registration import Guidance, Side, write_registration
from voltween.spatial import LabelMap

SHAPE = (16, 14, 12)
DENSE = Refinement((Level(2, 12, 0.5),))


def squared_difference(fixed, moved):
    return ((fixed - moved) ** 2).mean()


def texture(seed):
    noise = torch.randn(1, 1, *SHAPE, generator=torch.Generator().manual_seed(seed))
    smooth = nn.functional.avg_pool3d(noise, 5, 1, 2, count_include_pad=False)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def problem(similarity, settings=DENSE, mask=None):
    pair = PairTensors(SideTensors(texture(0), mask), SideTensors(texture(1)))
    return Problem(pair, replace(settings, similarity=similarity), Watch())


def start():
    return FlowParts(torch.eye(3)[None], torch.zeros(1, 3), torch.zeros(1, 3, *SHAPE))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (squared_difference, "mean squared error"),
        (nn.MSELoss(), "mean squared error"),
        (lambda f, m: local_correlation_loss(f, m, width=5), "local correlation"),
    ],
)
@pytest.mark.parametrize("diffeomorphic", [False, True])
def test_a_function_finds_what_the_similarity_of_its_name_finds(
    function, name, diffeomorphic
):
    settings = replace(DENSE, diffeomorphic=diffeomorphic)
    named = find_transform(problem(name, settings), start())
    own = find_transform(problem(function, settings), start())
    assert own.dense_flow.abs().max() > 0.1
    apart = (own.dense_flow - named.dense_flow).abs().mean()
    assert apart < 0.01 * named.dense_flow.abs().mean()  # Adam enlarges rounding


def test_a_function_sees_batches_of_images_from_0_to_1():
    seen = []

    def watched(fixed, moved):
        range_of = float(moved.detach().min()), float(moved.detach().max())
        seen.append((fixed.shape, moved.shape, *range_of))
        return mean_squared_error(fixed, moved, None)

    level = AffineLevel(1, 3, 0.3, is_close=True)
    settings = Refinement((), affine_levels=(level,), transform="affine")
    find_affine_part(problem(watched, settings), start())
    assert seen
    for fixed, moved, low, high in seen:
        assert fixed == moved
        assert fixed[1:] == (1, *SHAPE)
        assert low >= 0
        assert high <= 1


def test_scans_apart_are_compared_by_mutual_information_first():
    """As with a local similarity, which a function may be."""
    calls = []
    level = AffineLevel(1, 3, 0.3)
    settings = Refinement((), affine_levels=(level,), transform="affine")

    def counted(fixed, moved):
        calls.append(1)
        return squared_difference(fixed, moved)

    find_affine_part(problem(counted, settings), start())
    assert calls == []


def test_masks_are_refused_as_a_function_does_not_know_them():
    mask = torch.ones(1, 1, *SHAPE)
    with pytest.raises(InputError, match="leave the masks out, or give a name"):
        find_dense_part(problem(squared_difference, mask=mask), start())
    labels = LabelMap(np.ones(FIXED.grid.shape, np.uint8), FIXED.grid)
    with pytest.raises(InputError, match="which know masks"):
        register(
            FIXED,
            MOVING,
            model=None,
            refinement=replace(DENSE, similarity=squared_difference),
            guidance=Guidance(fixed=Side(mask=labels)),
        )


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda fixed, moved: 0.5, "got float"),
        (lambda fixed, moved: (fixed - moved) ** 2, r"shape \(1, 1, 16, 14, 12\)"),
        (lambda fixed, moved: (fixed - moved).mean() / 0, "got -?(inf|nan)"),
        (lambda fixed, moved: fixed.mean(), "got a number without gradient"),
        (
            lambda fixed, moved: (fixed - moved.detach()).square().mean(),
            "without gradient: compute it with functions of PyTorch",
        ),
    ],
)
def test_what_is_no_loss_is_refused_by_name(function, message):
    with pytest.raises(InputError, match=message) as caught:
        find_dense_part(problem(function), start())
    assert "test_own_similarity.<lambda>" in str(caught.value)


def test_an_error_of_the_function_itself_reaches_its_author():
    def broken(fixed, moved):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        find_dense_part(problem(broken), start())


def test_scans_are_registered_and_the_record_names_the_function(tmp_path):
    fixed, moving = known_pair()
    settings = replace(FAST_ALONE, similarity=squared_difference)
    steps = []
    result = register(
        fixed, moving, model=None, refinement=settings, on_step=steps.append
    )
    assert error_mm(result.fixed_to_moving) < 1.0
    assert {step.part for step in steps} == {"affine", "dense"}
    record = write_registration(result, tmp_path / "out", outputs=())
    assert record["refinement"]["similarity"].endswith(".squared_difference")
