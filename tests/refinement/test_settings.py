"""How a transform is sought: numbers that make sense, steps that add up."""

import pytest

from support.scans import oblique_grid, smooth_image, tiny_model
from voltween.errors import InputError
from voltween.evaluation import method_named
from voltween.models import save_model
from voltween.refinement import (
    ACCURATE,
    ACCURATE_ALONE,
    ALONE,
    REFINEMENTS,
    AffineLevel,
    Level,
    Refinement,
)

LEVEL = Level(1, 5, 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": ()}, "needs levels"),
        ({"levels": (Level(0, 5, 0.5),)}, "at least 1 voxel apart"),
        ({"levels": (Level(1, 0, 0.5),)}, "at least 1 step"),
        ({"affine_levels": (AffineLevel(0, 5, 0.5),)}, "at least as wide"),
        ({"window_voxels": 4}, "window_voxels must be odd"),
        ({"channel_weights": (1.0, 0.0)}, "channel_weights must be > 0"),
        ({"seconds": 0.0}, "seconds must be > 0"),
        ({"spacing_mm": -1.0}, "spacing_mm must be > 0"),
        ({"symmetric": True}, "give diffeomorphic, too"),
    ],
)
def test_refinements_that_cannot_run_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Refinement(**{"levels": (LEVEL,), **settings})


@pytest.mark.parametrize("steps", [4, 5, 17, 100, 135, 1000])
def test_a_number_of_steps_is_shared_among_the_levels(steps):
    shared = ACCURATE_ALONE.with_steps(steps)
    assert shared.steps == steps
    assert [level.shrink for level in shared.levels] == [4, 2, 1, 1]
    assert all(level.steps >= 1 for level in shared.levels)


def test_fewer_steps_than_levels_are_refused():
    with pytest.raises(InputError, match="needs as many steps, got 2"):
        ACCURATE.with_steps(2)


def test_only_what_starts_from_nothing_seeks_an_affine_part():
    assert not any(usual.affine_levels for usual in REFINEMENTS.values())
    assert all(usual.affine_levels for usual in ALONE.values())


def test_a_method_may_be_refined(tmp_path):
    file = save_model(tiny_model(), tmp_path / "one+one.safetensors")
    plain, fast = (method_named(f"model:{file}{end}") for end in ("", "+fast"))
    assert plain.facts != fast.facts
    fixed, moving = (smooth_image(oblique_grid((20, 20, 20)), n) for n in (0, 1))
    assert "refined" not in plain.load()(fixed, moving).stages
    assert "refined" in fast.load()(fixed, moving).stages
    with pytest.raises(InputError, match=r"\+slow: no such model"):
        method_named(f"model:{file}+slow")


def test_a_method_needs_no_model():
    fixed, moving = (smooth_image(oblique_grid((20, 20, 20)), n) for n in (0, 1))
    answer = method_named("model:none+fast").load()(fixed, moving)
    assert list(answer.stages) == ["before", "affine", "refined"]
    with pytest.raises(InputError, match=r"take model:none\+fast"):
        method_named("model:none")
