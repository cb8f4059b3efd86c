import numpy as np
import pytest

from support.cohorts import write_cohort
from voltween import io
from voltween.cohorts import manifest as data
from voltween.errors import InputError
from voltween.preprocessing import Preprocessing

PREPROCESSING = Preprocessing((16, 16, 16), (2.0, 2.0, 2.0))


def test_manifest_paths_are_relative_to_its_folder(tmp_path):
    cases = data.read_manifest(write_cohort(tmp_path))
    assert [case.name for case in cases] == [f"case{n}" for n in range(6)]
    assert cases[0].image == tmp_path / "image0.nii.gz"
    assert cases[0].points is None
    assert [c.split for c in data.cases_of_split(cases, "val")] == ["val", "val"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,file\na,b\n", "got no image, split"),
        ("case,image,split\na\n", "split must be one of"),
        ("case,image,split\na,nothing.nii,train\n", "a: no file .*nothing.nii"),
        ("case,image,split\na,image0.nii.gz,training\n", "got 'training'"),
        ("case,image,split\n" + 2 * "a,image0.nii.gz,train\n", "a is listed twice"),
    ],
)
def test_faults_of_a_manifest_are_named(text, message, tmp_path):
    write_cohort(tmp_path, 2, 0)
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        data.read_manifest(tmp_path / "bad.csv")


def test_a_manifest_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "cases.csv").write_bytes(b"\x1f\x8b\xff\x00\xfe")
    with pytest.raises(InputError, match="another kind of file"):
        data.read_manifest(tmp_path / "cases.csv")


def test_missing_manifest_and_empty_split_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such manifest"):
        data.read_manifest(tmp_path / "none.csv")
    cases = data.read_manifest(write_cohort(tmp_path, 2, 1))
    with pytest.raises(InputError, match="at least two cases with split 'val', got 1"):
        data.cases_of_split(cases, "val")


def test_samples_are_on_the_canonical_grid_with_their_labels(tmp_path):
    cases = data.read_manifest(write_cohort(tmp_path, 2, 0))
    for sample in (data.load_sample(case, PREPROCESSING) for case in cases):
        assert sample.image.shape == sample.labels.shape == (1, 16, 16, 16)
        bright = sample.image[0].numpy() > 0.5
        assert (sample.labels[0].numpy()[bright] > 0).mean() > 0.95


def test_masked_samples_are_dark_outside_their_labels(tmp_path):
    cases = data.read_manifest(write_cohort(tmp_path, 2, 0))
    plain = data.load_sample(cases[0], PREPROCESSING)
    masked = data.load_sample(cases[0], PREPROCESSING, is_masked=True)
    assert (plain.image == 0).float().mean() < 0.2
    assert (masked.image == 0).float().mean() > 0.5


def test_masking_without_labels_is_refused(tmp_path):
    write_cohort(tmp_path, 2, 0)
    (tmp_path / "bare.csv").write_text("case,image,split\na,image0.nii.gz,train\n")
    cases = data.read_manifest(tmp_path / "bare.csv")
    with pytest.raises(InputError, match="no labels to mask"):
        data.load_sample(cases[0], PREPROCESSING, is_masked=True)


def test_labels_on_another_grid_are_brought_to_the_image(tmp_path):
    cases = data.read_manifest(write_cohort(tmp_path, 2, 0))
    labels = io.read_labels(cases[0].labels)
    affine = labels.grid.affine.copy()
    affine[:3, 3] = labels.grid.voxel_to_world(np.array([1.0, 2.0, 0.0]))
    cropped = labels.data[1:, 2:]
    grid = type(labels.grid)(cropped.shape, affine)
    io.write(type(labels)(cropped, grid), cases[0].labels)
    image, again = data.load_case(cases[0])
    assert again.grid.is_close(image.grid)
    np.testing.assert_array_equal(again.data, labels.data)
