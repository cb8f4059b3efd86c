"""Synthesized pairs: drawn within cohorts, contrasts apart, maps of what both show."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.cohorts import write_label_maps
from support.training import CASCADE
from voltween.cohorts import read_manifest
from voltween.preprocessing import Preprocessing
from voltween.training import SYNTHESIS_TRAINING, Recipe, synthesized_pairs
from voltween.training.case_store import CaseStore
from voltween.training.rendering import Rendered
from voltween.training.synthetic_pairs import soft_maps
from voltween.training.teachers import Teacher
from voltween.training.tissues import Tissues

PREPROCESSING = Preprocessing((16, 16, 16), (2.5, 2.5, 2.5))
CONFIG = replace(SYNTHESIS_TRAINING, pairs_per_step=4, labels_per_pair=3)
SIDES = ("fixed", "moving")
RECIPE = Recipe(PREPROCESSING, CASCADE, CONFIG)


@pytest.fixture(scope="module", name="cases")
def cases_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    manifest = write_label_maps(folder, 5, 2, cohorts=("one", "two"))
    return read_manifest(manifest, may_lack_scans=True)


@pytest.fixture(scope="module", name="store")
def store_fixture(tmp_path_factory):
    return CaseStore(RECIPE, tmp_path_factory.mktemp("cache"), Tissues())


@pytest.fixture(scope="module", name="pairs")
def pairs_fixture(store, cases):
    return store.pairs([case for case in cases if case.split == "train"])


def test_both_sides_are_of_one_cohort_and_can_be_one_map(pairs):
    cohort = {f"case{n}": n % 2 for n in range(5)}
    drawn = set()
    for seed in range(60):
        name = pairs.synthesizer.sides(np.random.default_rng(seed))[1]
        drawn.add(tuple(name.removesuffix(" (synthesized)").split(" <- ")))
    assert all(cohort[fixed] == cohort[moving] for fixed, moving in drawn)
    assert len(drawn) == 3 * 3 + 2 * 2


def test_a_pair_depends_on_seed_step_and_place_alone(pairs):
    whole = pairs.batch(2, range(4)).pairs
    alone = pairs.batch(2, [3]).pairs
    for part in ("fixed", "moving", "fixed_labels", "moving_labels"):
        assert torch.equal(getattr(whole, part)[3:], getattr(alone, part))
    assert not torch.equal(pairs.batch(3, [3]).pairs.fixed, alone.fixed)


def test_contrasts_of_the_two_sides_are_independent(pairs):
    """Of tissue 1, in the voxels that it fills."""
    means = []
    for step in range(1, 16):
        batch = pairs.batch(step, range(4)).pairs
        for n in range(4):
            shown = [
                float(image[n, 0][maps[n].amax(0) == 1].mean())
                for image, maps in (
                    (batch.fixed, batch.fixed_labels),
                    (batch.moving, batch.moving_labels),
                )
            ]
            means.append(shown)
    one, other = np.array(means).T
    assert one.std() > 0.15 < other.std()
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.3


def test_maps_are_shares_of_the_structures_that_both_sides_have(pairs):
    batch = pairs.batch(1, range(4)).pairs
    assert batch.fixed_labels.shape == (4, 3, 16, 16, 16)
    for maps in (batch.fixed_labels, batch.moving_labels):
        assert 0 <= maps.min() < maps.max() <= 1
        assert (maps.sum(1) <= 1).all()
        assert ((maps > 0) & (maps < 1)).any()  # soft at borders
        sizes = maps.sum((2, 3, 4))
        assert (sizes[:, :2] >= 1).all()
        assert (sizes[:, 2] == 0).all()  # there are only two structures


def test_labels_of_one_structure_share_a_map(pairs):
    side = pairs.synthesizer.sides(np.random.default_rng(0))[0][0]
    apart = soft_maps(side, [1, 2], 2)
    merged = side._replace(structures=side.structures.clip(0, 1))
    together = soft_maps(merged, [1], 2)
    assert torch.allclose(together[:, 0], apart.sum(1))
    assert (together[:, 1] == 0).all()


def test_what_is_shown_is_what_training_sees(cases, tmp_path, pairs):
    shown = list(synthesized_pairs(cases, RECIPE, cache=tmp_path, count=4))
    batch = pairs.batch(1, range(4))
    names = [pair.name for pair in shown]
    assert ", ".join(names) == batch.names
    for n, pair in enumerate(shown):
        np.testing.assert_array_equal(pair.fixed.data, batch.pairs.fixed[n, 0])
        np.testing.assert_array_equal(pair.moving.data, batch.pairs.moving[n, 0])
        assert pair.fixed.grid.spacing_mm.tolist() == [2.5, 2.5, 2.5]
        inside = batch.pairs.moving_labels[n].sum(0).numpy() == 1
        assert (pair.moving_labels.data[inside] > 0).all()


class Shift(Teacher):
    """Leads every voxel by the brightness of both scans together."""

    name, facts = "shift", ""

    def flow(self, fixed, moving):
        return (fixed + 2 * moving).expand(3, *fixed.shape[1:])


def taught_sides(synthesizer, fixed, moving):
    """The target of a pair of sides."""
    return replace(synthesizer, teacher=Shift())._target(fixed, moving)


def side(seed, *, is_stripped=False, has_scan=True):
    """One labeled voxel in each corner of a scan whose lower half is air."""
    rng = np.random.default_rng(seed)
    scan = torch.from_numpy(rng.uniform(0.2, 1, (1, 4, 4, 4)).astype(np.float32))
    scan[:, :2] = 0.01
    codes = torch.zeros(1, 4, 4, 4, dtype=torch.uint8)
    codes[0, 0, 0, 0] = codes[0, 3, 3, 3] = 1
    structures = np.array([0, 7])
    return Rendered(
        scan * 0, codes, structures, is_stripped, scan if has_scan else None, 0.1
    )


def test_the_target_is_the_teachers_flow_between_the_scans_as_they_are(pairs):
    fixed, moving = side(0), side(1)
    target = taught_sides(pairs.synthesizer, fixed, moving)
    assert target.shape == (1, 3, 4, 4, 4)
    assert target[:, :, :2].isnan().all()  # air
    expected = (fixed.scan + 2 * moving.scan)[0, 2:]
    torch.testing.assert_close(target[0, 1, 2:], expected)


@pytest.mark.parametrize("stripped", ["fixed", "moving"])
def test_a_stripped_side_leaves_targets_in_structures_alone(pairs, stripped):
    sides = [side(n, is_stripped=name == stripped) for n, name in enumerate(SIDES)]
    known = taught_sides(pairs.synthesizer, *sides)[0, 0].isfinite()
    assert known.nonzero().tolist() == [[0, 0, 0], [3, 3, 3]]


@pytest.mark.parametrize("without", ["fixed", "moving"])
def test_maps_without_a_scan_have_no_target(pairs, without):
    sides = [side(n, has_scan=name != without) for n, name in enumerate(SIDES)]
    assert taught_sides(pairs.synthesizer, *sides).isnan().all()
