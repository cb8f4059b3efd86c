"""Scans rendered from label maps: geometry, contrast, surroundings, stripping."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from voltween.preprocessing import Preprocessing
from voltween.training import Augmentation, Synthesis
from voltween.training.label_volumes import LabelVolume, margins
from voltween.training.placing import look_up, share_of
from voltween.training.rendering import Renderer, random_curve
from voltween.training.tissues import Tissues

SHAPE = (16, 18, 20)
PLAIN = Synthesis(
    share=1.0,
    unlabeled="dark",
    scans=0.0,
    stripped=0.0,
    blur_voxels=0.0,
    slice_mm=0.0,
    subdivision=2,
)
"""Nothing but an intensity per tissue."""
LABELS = 0, 3, 8, 9


def renderer(synthesis=PLAIN, tissues=None, **augmentation):
    """A renderer that changes neither pose nor shape unless asked."""
    ranges = {"displacement": 0.0} | augmentation
    return Renderer(
        Preprocessing(SHAPE, (2.0, 2.0, 2.0)),
        synthesis,
        Augmentation(**ranges),
        tissues or Tissues(),
    )


def boxes(*, has_scan=False):
    """A volume of three boxes that touch; the scan is brighter where labels are."""
    beyond = margins(SHAPE, 2)
    stored = [2 * s + 2 * b for s, b in zip(SHAPE, beyond, strict=True)]
    codes = torch.zeros(stored, dtype=torch.uint8)
    codes[10:30, 10:34, 12:24] = 1
    codes[10:30, 10:20, 24:40] = 2
    codes[10:30, 20:34, 24:40] = 3
    scan = None
    if has_scan:
        scan = 30 + 60 * codes
        scan[:4] = 2  # air
    return LabelVolume("boxes", "", codes, torch.tensor(LABELS), scan, 0.05)


def shares(rendered, label):
    """Share of every voxel that a label has."""
    return share_of(look_up(rendered.structures == label, rendered.codes)).numpy()


def contrasts(of, draws=60):
    """Mean intensities of the labels in many draws, one row per draw."""
    rows = []
    for seed in range(draws):
        rendered = of(np.random.default_rng(seed))
        image = rendered.image[0].numpy()
        rows.append([image[shares(rendered, label) == 1].mean() for label in LABELS])
    return np.array(rows)


@pytest.mark.parametrize("seed", range(5))
def test_a_tissue_is_equally_bright_wherever_its_labels_lie(seed):
    """The image has the geometry of its labels, in a new pose and shape, too."""
    options = {"displacement": 0.1, "rotation_degrees": 20.0, "scaling": 0.2}
    rendered = renderer(**options).render(boxes(), np.random.default_rng(seed))
    image = rendered.image[0].numpy()
    levels = []
    for label in LABELS:
        inside = image[shares(rendered, label) == 1]
        assert len(inside) > 100
        levels.append(inside.mean())
        assert inside.std() < 0.15
    mixture = sum(m * shares(rendered, n) for m, n in zip(levels, LABELS, strict=True))
    assert np.abs(image - mixture).mean() < 0.1


def test_at_rest_labels_lie_where_the_volume_has_them():
    rendered = renderer(rotation_degrees=90.0).render(
        boxes(), np.random.default_rng(0), is_at_rest=True
    )
    b = margins(SHAPE, 2)
    expected = boxes().codes[b[0] : -b[0] : 2, b[1] : -b[1] : 2, b[2] : -b[2] : 2]
    np.testing.assert_array_equal(
        rendered.labels()[0], np.array(LABELS)[expected.numpy()]
    )


def test_tissues_have_intensities_of_their_own_in_every_draw():
    drawn = contrasts(lambda rng: renderer().render(boxes(), rng))
    correlation = np.corrcoef(drawn[:, 1:].T)
    assert np.abs(correlation - np.eye(3)).max() < 0.5
    assert (drawn[:, 1] > drawn[:, 2]).mean() == pytest.approx(0.5, abs=0.2)
    assert (drawn[:, 1:].std(axis=0) > 0.2).all()


def test_labels_of_one_tissue_look_alike():
    rows = {("", 3): (1, 3), ("", 8): (2, 8), ("", 9): (2, 9)}
    shown = renderer(tissues=Tissues(rows))
    drawn = contrasts(lambda rng: shown.render(boxes(), rng), draws=20)
    assert np.abs(drawn[:, 2] - drawn[:, 3]).max() < 0.05
    assert np.abs(drawn[:, 1] - drawn[:, 2]).max() > 0.3


def test_one_seed_gives_one_scan():
    options = {"displacement": 0.1, "bias": 0.3, "noise": 0.1, "gamma": 0.3}
    every = replace(PLAIN, unlabeled="shapes", stripped=0.5, blur_voxels=1.0)
    shown = renderer(every, **options)
    one, other, third = (
        shown.render(boxes(), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.codes, other.codes)
    assert not torch.equal(one.image, third.image)
    assert 0 <= one.image.min() < one.image.max() <= 1


def test_stripping_leaves_the_structures_alone():
    """Voxels without a structure are dark as air: on all sides, half of them, none."""
    rows = {("", label): (label, label % 9) for label in LABELS}  # 9 is none
    for share, fewest, most in ((0.0, 0, 0), (0.5, 4, 16), (1.0, 20, 20)):
        shown = renderer(replace(PLAIN, stripped=share), Tissues(rows))
        dropped = 0
        for seed in range(20):
            rendered = shown.render(boxes(), np.random.default_rng(seed))
            image = rendered.image[0].numpy()
            # All but the voxels beside the structures, which may be left as a rim.
            far = np.s_[5:14, 13:16, 15:18]
            air = image[0, 0, 0]
            dropped += bool(np.abs(image[far] - air).max() < 1e-4)
        assert fewest <= dropped <= most


def test_unlabeled_voxels_are_dark_or_of_random_shapes():
    dark, shapes = (replace(PLAIN, unlabeled=kind) for kind in ("dark", "shapes"))
    spreads = {"dark": [], "shapes": []}
    for seed in range(20):
        for name, settings in (("dark", dark), ("shapes", shapes)):
            rng = np.random.default_rng(seed)
            rendered = renderer(settings).render(boxes(), rng)
            around = rendered.image[0].numpy()[shares(rendered, 0) == 1]
            spreads[name].append(around.std())
    assert max(spreads["dark"]) < 0.01
    assert np.mean(np.array(spreads["shapes"]) > 0.1) > 0.5


def test_a_scan_shows_its_own_tissues_around_the_labels():
    rendered = renderer().render(boxes(has_scan=True), np.random.default_rng(3))
    image = rendered.image[0].numpy()
    assert image[0].std() < 0.01  # air
    assert image[5:14, 1, 1:].std() < 0.01  # the one level that surrounds the boxes


def test_a_scan_itself_is_shown_through_a_curve():
    settings = replace(PLAIN, scans=1.0)
    as_it_is = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rendered = renderer(settings).render(boxes(has_scan=True), rng)
        image = rendered.image[0].numpy()
        levels = [image[shares(rendered, label) == 1] for label in LABELS[1:]]
        assert max(level.std() for level in levels) < 0.01
        means = [level.mean() for level in levels]
        as_it_is += means[0] < means[1] < means[2]
    assert 8 <= as_it_is <= 24  # a third, and some of the curves


def test_curves_are_within_the_range_and_stairs_have_few_steps():
    rng = np.random.default_rng(0)
    for _ in range(50):
        stairs = random_curve(rng, is_stairs=True)
        assert len(np.unique(stairs)) <= 7
        curve = random_curve(rng, is_stairs=False)
        assert np.abs(np.diff(curve, 2) > 1e-9).sum() <= 12
        for drawn in (stairs, curve):
            assert drawn.shape == (256,)
            assert 0 <= drawn.min() <= drawn.max() <= 1
