"""Figures of one pair: what they show and say of each method."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from support.cohorts import write_cohort
from voltween import io
from voltween.cli import main
from voltween.cohorts import Scan, read_manifest
from voltween.errors import InputError
from voltween.evaluation import ComparedPair, PairScore, read_compared_pair
from voltween.evaluation.comparison import MethodResult, read_scores
from voltween.evaluation.jacobian_figure import jacobian_figure
from voltween.evaluation.pair_figures import landmarks_figure, structures_figure
from voltween.evaluation.records import Record
from voltween.figures.figure_file import write_figure
from voltween.figures.panels import (
    BOTH_COLOR,
    FIXED_COLOR,
    MOVED_COLOR,
)
from voltween.spatial import Affine, Grid, Image, LabelMap, Points


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison of two methods on two pairs of scans with landmarks."""
    folder = tmp_path_factory.mktemp("compared")
    manifest = write_cohort(folder, 0, 2)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for shift, row in enumerate(rows):
        center_mm = io.read(folder / row["image"]).grid.center_mm
        io.write(
            Points((center_mm + np.array([0, 3.0, 4.0]) * shift)[None]),
            folder / f"{row['case']}.csv",
        )
        row["points"] = f"{row['case']}.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    command = ["compare", str(manifest), "--methods", "identity,centres"]
    main([*command, "--keep-transforms", "--out", str(folder / "out")])
    return folder / "out", manifest


def words_of(figure):
    return [axes.get_xlabel() for axes in figure.axes]


def test_written_overlaps_and_distances_are_the_measured_ones(compared):
    folder, manifest = compared
    pair = read_compared_pair(folder, read_manifest(manifest))
    words = words_of(structures_figure(pair))
    for result in pair.methods.values():
        for score in result.record.structures[:3]:
            assert f"IoU {score.iou:.3f}, Dice {score.dice:.3f}" in words
    words = words_of(landmarks_figure(pair))
    for result in pair.methods.values():
        distance = f"{result.record.pair.landmark_mm:.1f} mm"
        assert any(word.startswith(distance) for word in words)


def test_columns_are_the_fixed_scan_and_the_methods_as_asked_for(compared):
    folder, manifest = compared
    pair = read_compared_pair(folder, read_manifest(manifest))
    titles = [axes.get_title() for axes in jacobian_figure(pair).axes]
    assert [title for title in titles if title] == ["fixed", "identity", "centres"]


def made_pair(center_mm, transform, shift=(0.0, 0.0, 0.0)):
    """A flat box in its scan, a landmark; the other's are shifted."""
    grid = Grid.centered(
        (30, 30, 30),
        center_mm=np.array(center_mm),
        spacing_mm=(2.0, 2.0, 2.0),
        directions=np.eye(3),
    )
    data = np.zeros(grid.shape, np.uint8)
    data[10:20, 10:20, 12:17] = 1  # largest in the axial plane
    scans = []
    for name, offset in (("fixed", np.zeros(3)), ("moving", np.array(shift))):
        affine = grid.affine.copy()
        affine[:3, 3] += offset
        there = Grid(grid.shape, affine)
        points = Points((there.center_mm + np.array([4.0, -6.0, 0.0]))[None])
        scans.append(
            Scan(name, Image(data * 100.0, there), LabelMap(data, there), points)
        )
    score = PairScore(method="known", fixed="fixed", moving="moving")
    return ComparedPair(
        *scans, {"known": MethodResult(transform, Record(score))}, "made"
    )


def shift_by(*mm):
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return Affine(matrix)


def columns_of(pixels, color):
    return np.flatnonzero(np.isclose(pixels, to_rgb(color)).all(-1).any(0))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_mask_moved_to_one_side_is_orange_there_and_blue_at_the_other(sign):
    # T(x) = x - 6 mm takes what is shown of the moving scan 6 mm to the right.
    pair = made_pair((5.0, -7.0, 9.0), shift_by(-6.0 * sign, 0.0, 0.0))
    panel = structures_figure(pair, (1,)).axes[3]
    pixels = np.asarray(panel.get_images()[0].get_array())[:, ::sign]
    fixed, both, moved = (
        columns_of(pixels, color) for color in (FIXED_COLOR, BOTH_COLOR, MOVED_COLOR)
    )
    assert fixed.max() < both.min()
    assert both.max() < moved.min()
    assert len(both) / len(moved) == pytest.approx(14 / 6, rel=0.05)
    assert len(both) / len(fixed) == pytest.approx(14 / 6, rel=0.05)


def test_sides_are_named_on_the_fixed_scan_alone_each_at_its_own():
    pair = made_pair((0.0, 0.0, 0.0), Affine.identity())
    figure = landmarks_figure(pair)
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert set(places) == {"L", "R", "A"}
    assert places["L"][0] < 0.1
    assert places["R"][0] > 0.9
    assert places["A"][1] > 0.9
    assert not figure.axes[1].texts


def test_a_mapped_landmark_is_where_the_method_takes_it_and_its_distance_is_written():
    # The landmark's own place is the window's middle; it is missed by (3, 4, 0) mm.
    pair = made_pair((5.0, -7.0, 9.0), shift_by(23.0, 4.0, 0.0), shift=(20.0, 0.0, 0.0))
    panel = landmarks_figure(pair).axes[1]
    own, mapped = (line.get_xydata()[0] for line in panel.lines)
    np.testing.assert_allclose(own, [0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(mapped, [3.0, 4.0], atol=1e-9)
    assert panel.get_xlabel() == "5.0 mm"


def test_a_landmark_mapped_out_of_the_window_is_said_to_be():
    pair = made_pair((5.0, -7.0, 9.0), shift_by(0.0, 40.0, 0.0))
    panel = landmarks_figure(pair).axes[1]
    assert panel.get_xlabel() == "40.0 mm (outside)"
    assert panel.get_ylim() == pytest.approx((-30.0, 30.0))


def test_scans_without_labels_or_landmarks_are_refused():
    pair = made_pair((0.0, 0.0, 0.0), Affine.identity())
    bare = replace(pair, moving=replace(pair.moving, labels=None, points=None))
    with pytest.raises(InputError, match="fixed and moving: expected labels"):
        structures_figure(bare)
    with pytest.raises(InputError, match="fixed and moving: expected landmarks"):
        landmarks_figure(bare)
    labels = LabelMap(pair.moving.labels.data * 5, pair.moving.labels.grid)
    with pytest.raises(
        InputError, match=r"labels: expected a label .* \(1,\) and \(5,\)"
    ):
        structures_figure(replace(pair, moving=replace(pair.moving, labels=labels)))
    none = replace(pair.moving, points=Points(np.empty((0, 3))))
    with pytest.raises(InputError, match="a file of points without any"):
        landmarks_figure(replace(pair, moving=none))


def test_the_same_figure_is_the_same_file(compared, tmp_path):
    folder, manifest = compared
    pair = read_compared_pair(folder, read_manifest(manifest))
    for name in "ab":
        figure = jacobian_figure(pair)
        for suffix in ("png", "pdf"):
            write_figure(figure, tmp_path / f"{name}.{suffix}")
    for suffix in ("png", "pdf"):
        one, other = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
        assert one == other


def test_missing_files_cases_and_structures_are_named(compared, tmp_path):
    folder, manifest = compared
    cases = read_manifest(manifest)
    with pytest.raises(InputError, match=r"expected a file"):
        read_scores(tmp_path)
    with pytest.raises(InputError, match="without the case nobody"):
        read_compared_pair(folder, cases, ("nobody", cases[0].name))
    pair = read_compared_pair(folder, cases)
    with pytest.raises(
        InputError, match=r"structures: expected labels of both scans.*got \[99\]"
    ):
        structures_figure(pair, (99,))
    with pytest.raises(
        InputError, match=r"landmarks: expected numbers from 1 to 1, got \[2\]"
    ):
        landmarks_figure(pair, (2,))
    bare = shutil.copytree(folder, tmp_path / "bare")
    shutil.rmtree(bare / "transforms")
    with pytest.raises(InputError, match="--keep-transforms"):
        read_compared_pair(bare, cases)


def test_the_command_writes_a_figure_and_refuses_other_endings(
    compared, tmp_path, capsys
):
    folder, manifest = compared
    command = ["figures", "sections", str(folder), str(manifest), "--out"]
    main([*command, str(tmp_path / "s.png")])
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        main([*command, str(tmp_path / "s.jpg")])
    assert "a name for a figure that ends in .png, .pdf" in capsys.readouterr().err
