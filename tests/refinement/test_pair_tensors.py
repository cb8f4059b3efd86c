"""A pair as tensors: the same place on wider voxels."""

import itertools

import torch

from voltween.refinement import PairTensors, SideTensors

SHAPE = (32, 28, 24)


def places(volume):
    """Indices of the voxels that are not 0."""
    return set(map(tuple, volume[0, 0].nonzero().tolist()))


def test_on_wider_voxels_everything_is_in_the_same_place():
    image = torch.rand(1, 1, *SHAPE)
    labels = torch.zeros(1, 1, *SHAPE, dtype=torch.int16)
    labels[..., 8:16, 8:16, 8:16] = 4
    points = torch.tensor([[[9.5, 13.5, 5.5]]])
    side = SideTensors(image, labels=labels, points=points)
    pair = PairTensors(side, SideTensors(image, mask=(labels > 0).float()))
    coarse = pair.shrink(4)
    assert coarse.shape == (8, 7, 6)
    block = image[0, 0, 8:12, 12:16, 4:8]
    assert torch.allclose(coarse.fixed.image[0, 0, 2, 3, 1], block.mean())
    inside = set(itertools.product((2, 3), repeat=3))
    assert (
        set(map(tuple, (coarse.fixed.labels[0, 0] == 4).nonzero().tolist())) == inside
    )
    assert set(map(tuple, coarse.moving.mask[0, 0].nonzero().tolist())) == inside
    assert torch.equal(coarse.fixed.points, torch.tensor([[[2.0, 3.0, 1.0]]]))
    assert coarse.fixed.mask is None
    assert coarse.moving.labels is None
    assert pair.shrink(1) is pair


def test_shared_labels_are_those_of_both_sides():
    image = torch.zeros(1, 1, 2, 2, 2)
    one, other = (
        torch.tensor(n).reshape(image.shape)
        for n in ([0, 1, 1, 2, 3, 7, 7, 7], [0, 0, 0, 7, 7, 2, 4, 9])
    )
    fixed, moving = SideTensors(image, labels=one), SideTensors(image, labels=other)
    assert PairTensors(fixed, moving).shared_labels == [2, 7]
    assert PairTensors(fixed, SideTensors(image)).shared_labels == []
