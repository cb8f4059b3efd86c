"""Reports without faces show the brain alone, or nothing."""

from dataclasses import replace

import numpy as np
import pytest

from support.faces import BRAIN_MM, CEREBELLUM_MM, CHIN_MM, EYE_MM, HEAD, NOSE_MM, head
from support.reports import FACTS, GRID, registered_pair, shift
from voltween.reports import RegisteredPair, ReportOptions, report_page
from voltween.reports.crop import without_faces
from voltween.spatial import Affine, Grid, Image, LabelMap, jacobian_determinant


def pair_of(image, labels=None, move=(0, 12, -8)):
    transform = shift(move)
    return RegisteredPair(
        fixed=image,
        moving=image,
        tweening={"before": Affine.identity(), "affine": transform},
        moved=transform.resample(image, onto=image.grid),
        jacobian=jacobian_determinant(transform, onto=image.grid),
        fixed_labels=labels,
        moving_labels=labels,
    )


def intensity(image, position_mm):
    i, j, k = np.rint(image.grid.world_to_voxel(position_mm)).astype(int)
    return image.data[i, j, k]


@pytest.mark.parametrize("position_mm", [NOSE_MM, EYE_MM, CHIN_MM])
def test_the_face_of_an_upright_head_is_left_out_of_both_scans(position_mm):
    whole, shown = head(), without_faces(pair_of(head()))
    assert intensity(whole, position_mm) > 0
    for scan in (shown.fixed, shown.moving):
        assert intensity(scan, position_mm) == 0
        assert intensity(scan, BRAIN_MM) == 100
        assert intensity(scan, CEREBELLUM_MM) == 100


def test_the_moved_scan_is_that_without_the_face():
    move = np.array([0, 12, -8])
    shown = without_faces(pair_of(head(), move=move))
    assert intensity(shown.moved, NOSE_MM - move) == 0
    assert intensity(shown.moved, BRAIN_MM - move) == pytest.approx(100, abs=1)


def test_labels_say_where_the_brain_is():
    distance = np.linalg.norm(HEAD.voxel_centers_mm() - BRAIN_MM, axis=-1)
    labels = LabelMap((distance < 30).astype(np.uint8) * 7, HEAD)
    shown = without_faces(pair_of(head(), labels))
    assert (shown.fixed.data[distance < 28] == head().data[distance < 28]).all()
    assert (shown.fixed.data[distance > 45] == 0).all()


def test_what_is_no_head_is_not_shown():
    pair = registered_pair(has_labels=False)
    assert without_faces(pair) is None
    page = report_page(pair, FACTS, ReportOptions(crop="brain"))
    assert "The scans are not shown" in page
    assert "data:image" not in page
    assert "viewer-data" not in page
    assert FACTS.record["command"] in page


def test_an_empty_scan_and_labels_beside_it_show_nothing():
    empty = Image(np.zeros(GRID.shape), GRID)
    pair = replace(registered_pair(has_labels=False), moving=empty)
    assert without_faces(pair) is None
    far = LabelMap(
        np.ones((2, 2, 2), np.uint8), Grid((2, 2, 2), shift((900, 0, 0)).matrix)
    )
    shown = without_faces(replace(registered_pair(), fixed_labels=far))
    assert (shown.fixed.data == 0).all()
