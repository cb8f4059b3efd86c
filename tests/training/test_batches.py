"""Pairs of a step: drawn, shared among devices, prepared by other processes."""

from dataclasses import replace

import pytest
import torch

from support.cohorts import write_cohort
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.preprocessing import Preprocessing
from voltween.training import Augmentation, Objective, TrainConfig
from voltween.training.batches import (
    PairSampler,
    Share,
    batches,
    naming_dead_workers,
)
from voltween.training.samples import Sample, store_samples

PREPROCESSING = Preprocessing((16, 16, 16), (2.5, 2.5, 2.5))
CONFIG = TrainConfig(
    steps=3, pairs_per_step=4, objective=Objective(overlap=(1.0,)), masked_share=0.5
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    cases = read_manifest(write_cohort(folder, 4, 0))
    plain = store_samples(cases, PREPROCESSING, folder / "cache")
    masked = store_samples(cases, PREPROCESSING, folder / "cache", is_masked=True)
    return PairSampler(plain, masked, None, CONFIG)


def assert_same(one, other):
    assert one.names == other.names
    assert one.pairs.seeds == other.pairs.seeds
    for a, b in zip(one.pairs[:-1], other.pairs[:-1], strict=True):
        assert a is b is None or torch.equal(a, b)


def test_pairs_are_of_distinct_cases_and_cover_all(pairs):
    samples = [Sample(str(n), torch.rand(1, 8, 8, 8), None) for n in range(4)]
    config = TrainConfig(augmentation=Augmentation(displacement=0.0))
    many = PairSampler(samples, None, None, config).batch(1, range(150))
    drawn = set(many.names.split(", "))
    assert drawn == {f"{f} <- {m}" for f in range(4) for m in range(4) if f != m}


def test_a_pair_depends_on_seed_step_and_place_alone(pairs):
    whole = pairs.batch(2, range(4))
    for place, name in enumerate(whole.names.split(", ")):
        alone = pairs.batch(2, [place])
        assert alone.names == name
        assert torch.equal(alone.pairs.moving[0], whole.pairs.moving[place])
        assert torch.equal(
            alone.pairs.moving_labels[0], whole.pairs.moving_labels[place]
        )
    assert pairs.batch(3, range(4)).names != whole.names


def test_every_pair_of_every_step_has_a_seed_of_its_own(pairs):
    seeds = [pairs.batch(step, range(4)).pairs.seeds for step in (1, 2)]
    assert len({*seeds[0], *seeds[1]}) == 8
    portions = [pairs.batch(2, places).pairs.seeds for places in ([0, 1], [2, 3])]
    assert portions[0] + portions[1] == seeds[1]  # whoever takes the pair
    reseeded = replace(pairs, config=replace(CONFIG, seed=1)).batch(1, range(4))
    assert not {*reseeded.pairs.seeds} & {*seeds[0]}


@pytest.mark.parametrize(("devices", "at_once"), [(1, None), (1, 1), (2, None), (2, 1)])
def test_devices_and_portions_share_every_pair_once(devices, at_once):
    config = TrainConfig(pairs_per_step=4, pairs_at_once=at_once)
    shares = [Share(rank, devices).portions(config) for rank in range(devices)]
    places = [place for share in shares for portion in share for place in portion]
    assert sorted(places) == [0, 1, 2, 3]
    most = at_once or 4 // devices
    assert all(len(portion) == most for share in shares for portion in share)


def test_pairs_that_cannot_be_shared_evenly_are_refused():
    with pytest.raises(InputError, match=r"multiple of .* = 3 x 1, got 4"):
        Share(0, 3).portions(TrainConfig(pairs_per_step=4, pairs_at_once=1))


def test_workers_prepare_the_same_batches(pairs):
    here = list(batches(pairs, Share(0, 1), first_step=2, workers=0))
    there = list(batches(pairs, Share(0, 1), first_step=2, workers=1))
    assert len(here) == len(there) == 2  # steps 2 and 3
    for one, other in zip(here, there, strict=True):
        assert_same(one[0], other[0])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Killed. \nmore", InputError),
        ("another fault", RuntimeError),
    ],
)
def test_a_dead_worker_is_named_in_one_line(text, error):
    with pytest.raises(error) as caught, naming_dead_workers():
        raise RuntimeError(text)
    assert "\n" not in str(caught.value)
