"""The real tools, one run each: they align blobs; their image is ours."""

from dataclasses import replace

import numpy as np
import pytest

from support.cohorts import blob
from support.scans import STORAGE_ORDERS, stored
from voltween.baselines import TOOLS, ants, convexadam, elastix, greedy
from voltween.errors import MissingPackageError
from voltween.evaluation.method_names import centers
from voltween.metrics import dice_per_label


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


def test_the_names_of_comparisons_are_those_of_the_tools():
    assert TOOLS["ants"] is ants.ants
    assert TOOLS["elastix"] is elastix.elastix
    assert TOOLS["greedy"] is greedy.greedy
    assert TOOLS["convexadam"] is convexadam.convexadam
    assert set(TOOLS) == {
        *("ants", "ants-affine", "ants-syn", "ants-syncc", "elastix"),
        *("greedy", "convexadam"),
    }
