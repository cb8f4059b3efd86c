"""Settings of a refinement: refusals, and steps that add up."""

import pytest

from support.scans import oblique_grid, smooth_image, tiny_model
from voltween.errors import InputError
from voltween.evaluation import method_named
from voltween.models import save_model
from voltween.refinement import (
    ACCURATE,
    ACCURATE_ALONE,
    AffineLevel,
    Level,
    Refinement,
)
from voltween.refinement.presets import ALONE, REFINEMENTS

LEVEL = Level(1, 5, 0.5)
RIGID = {
    "transform": "rigid",
    "levels": (),
    "affine_levels": (AffineLevel(1, 5, 0.5),),
}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": ()}, "expected levels of its dense part, got none"),
        (
            {"levels": (Level(0, 5, 0.5),)},
            "control points at least 1 voxel apart",
        ),
        ({"levels": (Level(1, 0, 0.5),)}, "expected shrink and steps of at least 1"),
        ({"affine_levels": (AffineLevel(0, 5, 0.5),)}, "expected shrink and steps"),
        ({"window_voxels": 4}, "window_voxels: expected an odd number"),
        (
            {"channel_weights": (1.0, 0.0)},
            "channel_weights: expected a finite number",
        ),
        ({"seconds": 0.0}, "seconds: expected a finite number > 0"),
        ({"spacing_mm": -1.0}, "spacing_mm: expected a finite number > 0"),
        ({"symmetric": True}, "expected velocities, .* set diffeomorphic as well"),
        (
            {**RIGID, "similarity": "features"},
            "similarity: expected a deformable transform, .* got features and",
        ),
        ({**RIGID, "diffeomorphic": True}, "diffeomorphic: expected a deformable"),
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
    with pytest.raises(InputError, match="at least 3 steps, one per level, got 2"):
        ACCURATE.with_steps(2)


def test_only_refinements_without_a_model_have_affine_levels():
    assert not any(usual.affine_levels for usual in REFINEMENTS.values())
    assert all(usual.affine_levels for usual in ALONE.values())


def small_images():
    grid = oblique_grid((14, 14, 14), spacing_mm=(2.0, 2.0, 2.0))
    return [smooth_image(grid, seed) for seed in (0, 1)]


def test_a_method_may_be_refined(tmp_path):
    file = save_model(tiny_model(), tmp_path / "one+one.safetensors")
    plain, fast = (method_named(f"model:{file}{end}") for end in ("", "+fast"))
    assert plain.facts != fast.facts
    fixed, moving = small_images()
    assert "refined" not in plain.load()(fixed, moving).stages
    assert "refined" in fast.load()(fixed, moving).stages
    with pytest.raises(InputError, match=r"\+slow: expected a shipped model"):
        method_named(f"model:{file}+slow")


def test_a_method_needs_no_model():
    fixed, moving = small_images()
    answer = method_named("model:none+fast").load()(fixed, moving)
    *_, (last, transform) = answer.stages.items()
    assert last != "before"
    assert transform is answer.fixed_to_moving
    with pytest.raises(InputError, match=r"give model:none\+fast"):
        method_named("model:none")
