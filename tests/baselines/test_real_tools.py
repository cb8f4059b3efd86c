"""The real tools, one run each: they align blobs; their image is ours."""

from dataclasses import replace

import numpy as np
import pytest

from support import stripped_heads
from support.cohorts import blob
from support.known_pair import blobs
from support.scans import STORAGE_ORDERS, oblique_grid, random_points_mm, stored
from voltween.baselines import TOOLS, ants, convexadam, elastix, greedy
from voltween.errors import MissingPackageError
from voltween.evaluation.method_names import centers
from voltween.metrics import dice_per_label
from voltween.spatial import Affine, Image, align_centers


def quick(name):
    """The tool with fewer iterations, if it is slow; skips a test if it is missing."""
    tool = TOOLS[name]
    try:
        tool.check_installed()
    except MissingPackageError as error:
        pytest.skip(str(error))
    task = tool.task()
    if name == "ants":
        short = task["command"].replace("2000x2000x2000", "20x20x20")
        task["command"] = short.replace("100x100x100x50", "5x5x5x2")
    elif name == "elastix":
        for stage, iterations in zip(task["stages"], ("60", "10"), strict=True):
            stage[1]["MaximumNumberOfIterations"] = iterations
    return replace(tool, task=lambda: task)


def mean_dice(transform, fixed_labels, moving_labels):
    moved = transform.resample(moving_labels, onto=fixed_labels.grid)
    return np.mean(list(dice_per_label(fixed_labels.data, moved.data).values()))


# elastix with its default affine stage is slow to gain on smooth blobs.
@pytest.mark.parametrize(
    ("name", "least_dice"),
    [("ants", 0.7), ("elastix", 0.3), ("greedy", 0.7), ("convexadam", 0.7)],
)
def test_a_tool_aligns_blobs_in_other_storage_orders(
    name, least_dice, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    tool = quick(name)
    fixed, fixed_labels = (stored(v, STORAGE_ORDERS[13]) for v in blob(0))
    moving, moving_labels = (stored(v, STORAGE_ORDERS[38]) for v in blob(1))
    # Raises if the tool's own moved image is not ours.
    transform, used = tool.run(fixed, moving, threads=1)
    assert mean_dice(centers(fixed, moving), fixed_labels, moving_labels) < 0.2
    assert mean_dice(transform, fixed_labels, moving_labels) > least_dice
    assert used.loading_seconds > 0.02  # of the package, not part of the time
    assert 0 < used.processor_seconds < 60
    assert used.seconds > 0
    assert used.peak_bytes > 50e6
    assert list(tmp_path.iterdir()) == []  # no files where it is called


def affine_pair(orders):
    """Scans of the same blobs on oblique grids, as stored; the true affine transform.

    After the alignment of the centers, 7 mm of shift and some shear are missing.
    """
    fixed = oblique_grid((36, 32, 34), seed=1, spacing_mm=(1.3, 1.5, 1.6))
    moving = oblique_grid((34, 36, 32), seed=2, spacing_mm=(1.4, 1.3, 1.6))
    to_center = np.eye(4)
    to_center[:3, 3] = moving.center_mm
    missing = np.eye(4)
    missing[:3] += [[0.05, 0.05, 0, 4], [0, -0.05, 0.03, -3], [0.02, 0, 0.05, 5]]
    about_center = to_center @ missing @ np.linalg.inv(to_center)
    true = Affine(about_center) @ align_centers(fixed, moving)
    fixed_mm, moving_mm = (g.voxel_centers_mm().reshape(-1, 3) for g in (fixed, moving))
    images = (
        blobs(fixed, (true.map_positions(fixed_mm) - moving.center_mm) / 2),
        blobs(moving, (moving_mm - moving.center_mm) / 2),
    )
    stored_images = (
        stored(image, STORAGE_ORDERS[number])
        for image, number in zip(images, orders, strict=True)
    )
    return *stored_images, true


def error_mm(transform, true, fixed):
    """Mean distance from the true positions, within 15 mm of the center."""
    points = random_points_mm(fixed, 600)
    points = points[np.linalg.norm(points - fixed.center_mm, axis=1) < 15]
    apart = transform.map_positions(points) - true.map_positions(points)
    return np.linalg.norm(apart, axis=1).mean()


@pytest.mark.parametrize("orders", [(13, 38), (0, 21)])
@pytest.mark.parametrize(("name", "most_mm"), [("greedy", 0.4), ("convexadam", 0.8)])
def test_a_tool_finds_a_known_transform_between_oblique_and_flipped_grids(
    name, most_mm, orders
):
    tool = quick(name)
    fixed, moving, true = affine_pair(orders)
    assert error_mm(centers(fixed, moving), true, fixed.grid) > 5
    transform, _ = tool.run(fixed, moving, threads=1)
    assert error_mm(transform, true, fixed.grid) < most_mm


def test_the_names_of_comparisons_are_those_of_the_tools():
    assert TOOLS["ants"] is ants.ants
    assert TOOLS["elastix"] is elastix.elastix
    assert TOOLS["greedy"] is greedy.greedy
    assert TOOLS["convexadam"] is convexadam.convexadam
    assert set(TOOLS) == {
        *("ants", "ants-affine", "ants-syn", "ants-syncc", "elastix"),
        *("greedy", "greedy-nmi", "convexadam"),
    }


def test_mutual_information_aligns_scans_of_other_contrast():
    moving = stripped_heads.brain(stripped_heads.true_transform().inverse())
    dark = np.where(moving.data > 0, 1000 - moving.data.clip(0, 900), 0)
    transform, _ = quick("greedy-nmi").run(
        stripped_heads.brain(), Image(dark, moving.grid), threads=1
    )
    assert stripped_heads.error_mm(transform) < 2  # the local correlation: 32 mm


@pytest.mark.parametrize("name", ["greedy", "convexadam"])
def test_a_tool_with_one_thread_repeats_itself(name):
    tool = quick(name)
    (fixed, _), (moving, _) = blob(0), blob(1)
    one, other = (
        tool.run(fixed, moving, threads=1)[0].to_field(fixed.grid).vectors_mm
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)
