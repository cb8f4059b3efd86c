"""Label volumes: where they lie, what they keep, and that they are found again."""

import numpy as np
import pytest
import torch

from support.cohorts import write_cohort, write_label_maps
from voltween import io
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.preprocessing import Preprocessing
from voltween.spatial import Affine, LabelMap
from voltween.training.label_volumes import load_volume, store_volumes
from voltween.training.placing import look_up, place, share_of
from voltween.training.samples import load_sample

PREPROCESSING = Preprocessing((16, 16, 16), (2.5, 2.5, 2.5), placement="foreground")


def test_a_volume_lies_on_the_canonical_grid_of_its_scan(tmp_path):
    case = read_manifest(write_cohort(tmp_path))[1]
    volume = load_volume(case, PREPROCESSING, 2)
    sample = load_sample(case, PREPROCESSING)
    placed = place(volume, PREPROCESSING.shape, 2, None)
    for label in (1, 2):
        share = share_of(look_up(volume.values.numpy() == label, placed.codes))
        inside = sample.labels[0] == label
        assert (share[inside] > 0).float().mean() > 0.98
        assert share.sum() == pytest.approx(float(inside.sum()), rel=0.1)
    intensities = placed.scan.float().mean(0) / 255
    assert np.corrcoef(intensities.flatten(), sample.image.flatten())[0, 1] > 0.98
    assert 0 < volume.dark < 0.6


def test_without_a_scan_the_labeled_voxels_are_the_foreground(tmp_path):
    case = read_manifest(write_label_maps(tmp_path), may_lack_scans=True)[2]
    assert not case.has_scan
    volume = load_volume(case, PREPROCESSING, 1)
    assert volume.scan is None
    placed = place(volume, PREPROCESSING.shape, 1, None)
    labeled = torch.nonzero(look_up(volume.values.numpy() > 0, placed.codes)[0])
    middle = (labeled.amin(0) + labeled.amax(0)) / 2
    assert (middle - 7.5).abs().max() <= 1


def test_labels_of_any_size_are_kept(tmp_path):
    labels = io.read_labels(tmp_path / _huge(tmp_path))
    case = read_manifest(tmp_path / "maps.csv", may_lack_scans=True)[0]
    volume = load_volume(case, PREPROCESSING, 1)
    assert volume.values.tolist() == np.unique(labels.data).tolist()
    assert volume.values.max() > 2**32


def test_volumes_are_found_again_and_made_anew_for_other_settings(tmp_path):
    manifest = write_label_maps(tmp_path, cohorts=("one", "two"))
    cases = read_manifest(manifest, may_lack_scans=True)
    cache = tmp_path / "cache"
    stored = store_volumes(cases, PREPROCESSING, cache, 2)
    files = sorted(path.name for path in cache.glob("*.safetensors"))
    assert stored.cohorts == ("one", "two") * 3
    again = store_volumes(cases, PREPROCESSING, cache, 2)
    assert sorted(path.name for path in cache.glob("*.safetensors")) == files
    assert torch.equal(stored[3].codes, again[3].codes)
    assert [volume.name for volume in again[4:]] == ["case4", "case5"]
    store_volumes(cases, PREPROCESSING, cache, 1)
    assert len(list(cache.glob("*.safetensors"))) == 2 * len(files)


def test_a_map_without_labels_is_refused(tmp_path):
    manifest = write_label_maps(tmp_path)
    path = tmp_path / "labels0.nii.gz"
    labels = io.read_labels(path)
    io.write(LabelMap(np.zeros_like(labels.data), labels.grid), path)
    case = read_manifest(manifest, may_lack_scans=True)[0]
    with pytest.raises(InputError, match=r"case0 .*labels0.*got no label"):
        load_volume(case, PREPROCESSING, 2)


def _huge(folder):
    """A cohort whose first map has a label beyond 32 bits, in a file of NRRD."""
    manifest = write_label_maps(folder)
    labels = io.read_labels(folder / "labels0.nii.gz")
    data = labels.data.astype(np.int64)
    data[data == 2] = 2**40 + 1
    io.write(LabelMap(data, labels.grid), folder / "labels0.nrrd")
    text = manifest.read_text("utf-8")
    manifest.write_text(text.replace("labels0.nii.gz", "labels0.nrrd"))
    assert Affine.identity().resample(labels, onto=labels.grid).data.any()
    return "labels0.nrrd"
