"""The judge of candidate answers: similarity over what both scans show."""

import numpy as np
import pytest

from support.textured import GRID, head, shift
from voltween.registration.judge import CHANCE, Judge
from voltween.spatial import Affine, Grid, Image


@pytest.fixture(scope="module", name="scan")
def scan_fixture():
    return head()


def test_a_scan_agrees_entirely_with_itself(scan):
    agreement = Judge.of(scan, scan).agreement(Affine.identity())
    assert agreement.similarity == pytest.approx(1, abs=1e-4)
    assert agreement.sign == pytest.approx(1)
    assert agreement.seen_percent == 100
    assert agreement.overlap == pytest.approx(1)


def test_similarity_falls_with_every_step_away(scan):
    judge = Judge.of(scan, scan)
    found = [judge.agreement(shift([mm, 0, 0])).similarity for mm in (0, 1, 2, 4, 8)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.3


def test_unrelated_scans_agree_by_chance(scan):
    similarity = Judge.of(scan, head(seed=1)).agreement(Affine.identity()).similarity
    assert CHANCE < similarity < 0.25


def test_inverted_and_scaled_contrast_counts_the_same(scan):
    other = Image(5000 - 3 * scan.data, GRID)
    agreement = Judge.of(scan, other).agreement(Affine.identity())
    assert agreement.similarity > 0.95
    assert agreement.sign == pytest.approx(-1, abs=0.01)


def test_moving_the_foreground_out_of_sight_gains_nothing(scan):
    agreement = Judge.of(scan, scan).agreement(shift([500, 0, 0]))
    assert agreement.similarity == pytest.approx(CHANCE)
    assert agreement.seen_percent == 0


def test_half_a_scan_agrees_where_it_is_and_counts_by_chance_where_it_is_not(scan):
    affine = GRID.affine.copy()
    affine[:3, 3] = GRID.voxel_to_world(np.array([18.0, 0, 0]))
    half = Image(scan.data[18:], Grid((18, 40, 32), affine))
    agreement = Judge.of(scan, half).agreement(Affine.identity())
    assert agreement.seen_percent == pytest.approx(50, abs=6)
    # Cubes across the cut, too, hold less than they should.
    assert 0.35 < agreement.similarity < 0.5 + 0.5 * CHANCE


def test_air_without_contrast_is_not_taken_for_agreement(scan):
    """A stripped scan says nothing about the tissue that it lacks."""
    stripped = scan.data.copy()
    stripped[:, :20] = 0
    agreement = Judge.of(scan, Image(stripped, GRID)).agreement(Affine.identity())
    assert 0.35 < agreement.similarity < 0.75


def test_headers_and_storage_orders_do_not_matter(scan):
    flipped = Image(
        scan.data[::-1].transpose(2, 0, 1).copy(),
        Grid(
            (32, 36, 40),
            GRID.affine
            @ np.array([[0, -1, 0, 35], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]]),
        ),
    )
    for pair in ((scan, flipped), (flipped, scan)):
        similarity = Judge.of(*pair).agreement(Affine.identity()).similarity
        assert similarity == pytest.approx(1, abs=1e-3)


def test_poses_undo_a_turned_header(scan):
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [0, 0, 1], [-1, 0, 0]]
    turn[:3, 3] = [300, -20, 40]
    moving = Image(scan.data, Grid(GRID.shape, turn @ GRID.affine))
    judge = Judge.of(scan, moving)
    best = max(judge.poses, key=lambda pose: judge.agreement(pose).similarity)
    points = judge.foreground_mm
    apart = best.map_positions(points) - Affine(turn).map_positions(points)
    assert np.linalg.norm(apart, axis=1).mean() < 4
