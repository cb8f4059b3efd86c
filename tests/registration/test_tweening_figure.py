"""The figure of a cascade: its panels, and lines where a known transform puts them."""

import sys

import numpy as np
import pytest

from support.scans import oblique_grid, smooth_field, smooth_image
from voltween.errors import MissingPackageError
from voltween.registration import Registration
from voltween.registration import tweening_figure as module
from voltween.registration.result import TweeningStage
from voltween.registration.tweening_figure import (
    Structures,
    deformed_grid,
    tweening_figure,
)
from voltween.spatial import Affine, LabelMap

GRID = oblique_grid((20, 18, 16))
IMAGE = smooth_image(GRID)


def registration_of(*transforms, before=None):
    stages = tuple(
        TweeningStage(f"stage {n}", transform)
        for n, transform in enumerate(transforms, 1)
    )
    start = before or Affine.identity()
    return Registration(IMAGE, IMAGE, "known", start, stages, {})


def shift(*mm):
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return Affine(matrix)


@pytest.fixture(name="rendered")
def rendered_fixture(monkeypatch):
    """Collects what would be rendered: scans with their structures, and lines."""
    calls = {"scans": [], "volumes": [], "lines": [], "dimetric": []}
    blank = np.full((8, 8, 3), 255, np.uint8)

    def scan(scene, image, labels=None, structures=()):
        calls["scans"].append((image, labels, structures))
        return blank

    def volume(scene, image, labels=None, structures=()):
        calls["volumes"].append((image, labels, structures))
        return blank

    def lines(scene, lines_mm, values, *, most, is_dimetric):
        calls["dimetric"].append(is_dimetric)
        calls["lines"].append((lines_mm, values, most))
        return blank

    monkeypatch.setattr(module, "import_pyvista", lambda: None)
    monkeypatch.setattr(module, "render_scan", scan)
    monkeypatch.setattr(module, "render_volume", volume)
    monkeypatch.setattr(module, "render_lines", lines)
    return calls


def test_a_known_shift_moves_every_line_by_it_against_its_direction():
    mesh = deformed_grid(registration_of(shift(3.0, 4.0, 0.0)), GRID)
    still = deformed_grid(registration_of(shift(0.0, 0.0, 0.0)), GRID)
    for line, before in zip(mesh.lines_mm, still.lines_mm, strict=True):
        np.testing.assert_allclose(line, before - [3.0, 4.0, 0.0], atol=1e-9)
    for moves in mesh.displacements_mm:
        np.testing.assert_allclose(moves, 5.0)


def test_the_initial_alignment_moves_no_line():
    start = shift(30.0, -20.0, 10.0)
    mesh = deformed_grid(registration_of(start, before=start), GRID)
    assert max(moves.max() for moves in mesh.displacements_mm) < 1e-9


def test_lines_pass_through_the_known_points_of_a_known_field():
    field = smooth_field(GRID, largest_voxels=0.8)
    mesh = deformed_grid(registration_of(field), GRID)
    still = deformed_grid(registration_of(Affine.identity()), GRID)
    for line, came_from in zip(mesh.lines_mm, still.lines_mm, strict=True):
        # The inverse is exact at voxels and linear over up to 2.3 mm between them.
        np.testing.assert_allclose(field.map_positions(line), came_from, atol=0.1)
    assert max(moves.max() for moves in mesh.displacements_mm) > 0.3


def test_panels_are_fixed_moving_each_stage_and_the_grid(rendered):
    figure = tweening_figure(registration_of(shift(1.0, 0, 0), shift(2.0, 0, 0)))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    panels = ["fixed", "moving", "after stage 1", "after stage 2", "deformed grid"]
    assert titles == panels
    assert len(rendered["scans"]) == 4
    ((_, values, most),) = rendered["lines"]
    assert most == pytest.approx(2.0)
    assert len(values) == 54


def test_panels_show_the_moving_scan_as_it_stood_after_each_stage(rendered):
    transforms = (shift(4.0, 0.0, 0.0), shift(8.0, 0.0, 0.0))
    tweening_figure(registration_of(*transforms))
    fixed, moving, *stages = (image for image, *_ in rendered["scans"])
    assert np.array_equal(fixed.data, moving.data)
    for shown, transform in zip(stages, transforms, strict=True):
        expected = transform.resample(IMAGE, onto=fixed.grid)
        assert np.array_equal(shown.data, expected.data)
        assert not np.array_equal(shown.data, fixed.data)


def test_volumes_are_of_the_same_scans_as_surfaces_with_one_camera_for_all(rendered):
    registration = registration_of(shift(4.0, 0.0, 0.0))
    for style in ("surface", "volume"):
        figure = tweening_figure(registration, style=style)
        titles = [axes.get_title() for axes in figure.axes[:4]]
        assert titles == ["fixed", "moving", "after stage 1", "deformed grid"]
    assert len(rendered["scans"]) == len(rendered["volumes"]) == 3
    for one, other in zip(rendered["scans"], rendered["volumes"], strict=True):
        assert np.array_equal(one[0].data, other[0].data)
    assert rendered["dimetric"] == [False, True]


def test_fixed_structures_are_in_the_fixed_panel_and_moving_ones_in_the_others(
    rendered,
):
    data = np.zeros((2, *GRID.shape), np.uint8)
    data[0, 4:8, 4:8, 4:8], data[1, 10:14, 4:8, 4:8] = 3, 3
    structures = Structures(*(LabelMap(labels, GRID) for labels in data), (3,))
    figure = tweening_figure(registration_of(Affine.identity()), structures)
    fixed, moving, _ = (labels for _, labels, _ in rendered["scans"])
    for shown, labels in ((fixed, structures.fixed), (moving, structures.moving)):
        expected = Affine.identity().resample(labels, onto=shown.grid)
        assert np.array_equal(shown.data, expected.data)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "structure 3"
    ]


def test_without_pyvista_nothing_is_drawn(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(MissingPackageError, match="pyvista package"):
        tweening_figure(registration_of(Affine.identity()))
