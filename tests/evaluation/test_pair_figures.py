"""Figures of one pair: what they show and say of each method."""

import csv
import shutil
import warnings
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from support.cohorts import write_cohort
from voltween import io
from voltween.cli import main
from voltween.cohorts import Scan, read_manifest
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.evaluation import ComparedPair, PairScore, read_compared_pair
from voltween.evaluation.comparison import MethodResult, read_scores
from voltween.evaluation.jacobian_figure import jacobian_figure
from voltween.evaluation.pair_figures import methods_figure, structures_figure
from voltween.evaluation.records import Record
from voltween.evaluation.warped_sections import FIXED_CROSS, MOVING_CROSS
from voltween.figures import BOTH_COLOR, FIXED_COLOR, MOVED_COLOR
from voltween.figures.figure_file import write_figure
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
    with warnings.catch_warnings():  # nothing overlaps without a registration
        warnings.simplefilter("ignore", SuspiciousInputWarning)
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
    words = words_of(methods_figure(pair, structures=(2,)))
    for result in pair.methods.values():
        # Of rigid transforms, distances in fixed space are those in moving space.
        distance = f"{result.record.pair.landmark_mm:.1f} mm"
        assert any(word.startswith(distance) for word in words)
        assert f"IoU {result.record.structures[1].iou:.3f}" in words


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
    figure = methods_figure(pair)
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert set(places) == {"L", "R", "A"}
    assert places["L"][0] < 0.1
    assert places["R"][0] > 0.9
    assert places["A"][1] > 0.9
    assert not any(axes.texts for axes in figure.axes[1:])


def crosses_of(axes):
    return {line.get_color(): line.get_xydata()[0] for line in axes.lines}


def test_columns_are_fixed_moving_and_two_for_each_method_as_asked_for(compared):
    folder, manifest = compared
    cases = read_manifest(manifest)
    pair = read_compared_pair(folder, cases, methods=("centres", "identity"))
    titles = [axes.get_title() for axes in methods_figure(pair).axes]
    assert titles == ["fixed", "moving", "centres", "masks", "identity", "masks"]


def test_crosses_are_at_the_fixed_landmark_and_the_moving_one_brought_back():
    # The moving scan lies 20 mm to the right; T misses its landmark by (3, 4, 12) mm.
    center_mm, shift = (5.0, -7.0, 9.0), (20.0, 0.0, 0.0)
    pair = made_pair(center_mm, shift_by(23.0, 4.0, 12.0), shift=shift)
    fixed, moving, warped, masks = methods_figure(pair).axes
    # The landmark is 4 mm to the right and 6 mm behind the scan's center.
    assert set(crosses_of(fixed)) == {FIXED_CROSS}
    np.testing.assert_allclose(crosses_of(fixed)[FIXED_CROSS], [4, -6], atol=1e-9)
    assert set(crosses_of(moving)) == {MOVING_CROSS}
    np.testing.assert_allclose(crosses_of(moving)[MOVING_CROSS], [4, -6], atol=1e-9)
    for panel in (warped, masks):
        crosses = crosses_of(panel)
        np.testing.assert_allclose(crosses[FIXED_CROSS], [4, -6], atol=1e-9)
        np.testing.assert_allclose(crosses[MOVING_CROSS], [1, -10], atol=1e-9)
    assert warped.get_xlabel() == "13.0 mm"


def test_sections_are_at_the_height_of_the_fixed_landmark():
    pair = made_pair((5.0, -7.0, 9.0), Affine.identity())
    points = Points(pair.fixed.points.mm + np.array([0, 0, 20.0]))  # above the box
    high = replace(pair, fixed=replace(pair.fixed, points=points))
    for shown, has_box in ((pair, True), (high, False)):
        masks = methods_figure(shown).axes[3].get_images()[0].get_array()
        assert bool(np.asarray(masks).any()) is has_box


def test_the_distance_is_measured_in_fixed_space():
    # T doubles lengths: 6 mm apart in moving space are 3 mm in fixed space.
    pair = made_pair((0.0, 0.0, 0.0), Affine(np.diag([2.0, 2.0, 2.0, 1.0])))
    moving = Points(2 * pair.fixed.points.mm + [0.0, 6.0, 0.0])
    pair = replace(pair, moving=replace(pair.moving, points=moving))
    assert methods_figure(pair).axes[2].get_xlabel() == "3.0 mm"


def test_masks_are_white_for_fixed_and_red_for_warped_with_the_volumes_overlap():
    # T(x) = x - 6 mm takes what is shown of the moving scan 6 mm to the right.
    pair = made_pair((5.0, -7.0, 9.0), shift_by(-6.0, 0.0, 0.0))
    panel = methods_figure(pair).axes[3]
    row = np.asarray(panel.get_images()[0].get_array())[120]
    names = {(1.0, 1.0, 1.0): "fixed", (0.95, 0.5, 0.5): "both", (0.45, 0, 0): "warped"}
    runs = [name for name, _ in groupby(names.get(tuple(p.round(3)), "") for p in row)]
    assert runs == ["", "fixed", "both", "warped", ""]
    assert panel.get_xlabel() == f"IoU {7 / 13:.3f}"


def test_the_mask_is_the_union_of_all_labels_or_of_those_chosen():
    pair = made_pair((0.0, 0.0, 0.0), Affine.identity())
    data = pair.moving.labels.data.copy()
    data[15:] *= 2  # the same organ, half of it as another structure
    fixed = pair.fixed.labels.data.copy()
    fixed[19:] *= 2
    scans = [
        replace(scan, labels=LabelMap(labels, scan.labels.grid))
        for scan, labels in ((pair.fixed, fixed), (pair.moving, data))
    ]
    pair = replace(pair, fixed=scans[0], moving=scans[1])
    assert methods_figure(pair).axes[3].get_xlabel() == "IoU 1.000"
    panel = methods_figure(pair, structures=(1,)).axes[3]
    assert panel.get_xlabel() == f"IoU {5 / 9:.3f}"


def test_without_landmarks_sections_go_through_structures_and_have_no_crosses():
    pair = made_pair((0.0, 0.0, 0.0), Affine.identity())
    bare = replace(pair, moving=replace(pair.moving, points=None))
    figure = methods_figure(bare)
    assert figure.axes[0].get_ylabel() == "structure 1"
    assert not any(axes.lines for axes in figure.axes)
    assert np.asarray(figure.axes[3].get_images()[0].get_array()).any()
    with pytest.raises(InputError, match="fixed and moving: expected landmarks"):
        methods_figure(bare, landmarks=(1,))


def test_a_landmark_mapped_out_of_the_window_is_said_to_be():
    pair = made_pair((5.0, -7.0, 9.0), shift_by(0.0, 40.0, 0.0))
    panel = methods_figure(pair).axes[2]
    assert panel.get_xlabel() == "40.0 mm (outside)"
    assert panel.get_ylim() == pytest.approx((-29.0, 29.0))


def test_scans_without_labels_are_refused():
    pair = made_pair((0.0, 0.0, 0.0), Affine.identity())
    bare = replace(pair, moving=replace(pair.moving, labels=None, points=None))
    with pytest.raises(InputError, match="fixed and moving: expected labels"):
        structures_figure(bare)
    with pytest.raises(InputError, match="fixed and moving: expected labels"):
        methods_figure(bare)
    labels = LabelMap(pair.moving.labels.data * 5, pair.moving.labels.grid)
    with pytest.raises(
        InputError, match=r"labels: expected a label .* \(1,\) and \(5,\)"
    ):
        structures_figure(replace(pair, moving=replace(pair.moving, labels=labels)))


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
        methods_figure(pair, landmarks=(2,))
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
