"""Samples on disk: made once, checked, and made again if damaged."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.cohorts import write_cohort
from voltween.cohorts import read_manifest
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.preprocessing import Preprocessing
from voltween.training.samples import load_sample, store_samples

PREPROCESSING = Preprocessing((16, 16, 16), (2.5, 2.5, 2.5))


@pytest.fixture
def cases(tmp_path):
    return read_manifest(write_cohort(tmp_path, 2, 0))


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}


def test_stored_samples_are_the_samples(cases, tmp_path):
    stored = store_samples(cases, PREPROCESSING, tmp_path / "cache")
    assert len(stored) == 2
    for case, sample in zip(cases, stored, strict=True):
        expected = load_sample(case, PREPROCESSING)
        assert sample.name == expected.name
        assert torch.equal(sample.image, expected.image)
        assert torch.equal(sample.labels, expected.labels)


def test_scans_are_prepared_once(cases, tmp_path):
    store_samples(cases, PREPROCESSING, tmp_path / "cache")
    before = files(tmp_path / "cache")
    store_samples(cases, PREPROCESSING, tmp_path / "cache")
    assert files(tmp_path / "cache") == before
    assert len(before) == 2


def test_other_content_settings_or_masks_are_other_files(cases, tmp_path):
    cache = tmp_path / "cache"
    store_samples(cases, PREPROCESSING, cache)
    other = Preprocessing((16, 16, 16), (2.0, 2.0, 2.0))
    coarse, fine = (store_samples(cases, p, cache) for p in (PREPROCESSING, other))
    masked = store_samples(cases, PREPROCESSING, cache, is_masked=True)
    assert len(files(cache)) == 6
    assert not torch.equal(coarse[0].image, fine[0].image)
    assert not torch.equal(coarse[0].image, masked[0].image)
    cases[0].image.write_bytes(cases[1].image.read_bytes())
    cases[0].labels.write_bytes(cases[1].labels.read_bytes())
    changed = store_samples(cases, PREPROCESSING, cache)
    assert not torch.equal(changed[0].image, coarse[0].image)
    assert torch.equal(changed[0].image, coarse[1].image)


def test_a_file_with_one_bit_changed_is_made_again_with_a_warning(cases, tmp_path):
    stored = store_samples(cases[:1], PREPROCESSING, tmp_path / "cache")
    expected = stored[0].image.clone()
    (path,) = files(tmp_path / "cache")
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.warns(SuspiciousInputWarning, match="damaged files, made again"):
        again = store_samples(cases[:1], PREPROCESSING, tmp_path / "cache")
    np.testing.assert_array_equal(again[0].image, expected)


def test_a_file_cut_short_is_made_again(cases, tmp_path):
    expected = store_samples(cases[:1], PREPROCESSING, tmp_path / "cache")[0].image
    expected = expected.clone()
    (path,) = files(tmp_path / "cache")
    path.write_bytes(path.read_bytes()[:-9])
    again = store_samples(cases[:1], PREPROCESSING, tmp_path / "cache")
    np.testing.assert_array_equal(again[0].image, expected)


def test_samples_are_on_the_canonical_grid_with_their_labels(cases):
    for sample in (load_sample(case, PREPROCESSING) for case in cases):
        assert sample.image.shape == sample.labels.shape == (1, 16, 16, 16)
        bright = sample.image[0].numpy() > 0.5
        assert (sample.labels[0].numpy()[bright] > 0).mean() > 0.95


def test_masked_samples_are_dark_outside_their_labels(cases):
    close = Preprocessing((16, 16, 16), (2.0, 2.0, 2.0))  # little around the blob
    plain = load_sample(cases[0], close)
    masked = load_sample(cases[0], close, is_masked=True)
    assert (plain.image == 0).float().mean() < 0.2
    assert (masked.image == 0).float().mean() > 0.5


def test_masking_without_labels_is_refused(cases):
    with pytest.raises(InputError, match="labels"):
        load_sample(replace(cases[0], labels=None), PREPROCESSING, is_masked=True)
