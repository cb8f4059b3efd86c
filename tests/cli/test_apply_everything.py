"""`voltween apply` on several inputs and transforms, against antspyx and SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk

from support.commands import run_here
from support.itk_tools import itk_affine, itk_chain, itk_field, itk_image, itk_resampled
from support.scans import (
    FIXED,
    MOVING,
    TO_MOVING,
    label_blocks,
    random_points_mm,
    smooth_field,
)
from voltween import io
from voltween.spatial import Affine, Image, LabelMap, MultichannelImage, Points

FIELD = smooth_field(FIXED.grid, largest_voxels=1.5)
SERIES = MultichannelImage(
    np.stack([MOVING.data * factor for factor in (1, 2, 3)], axis=-1),
    MOVING.grid,
    "series",
)


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    io.write(FIXED, tmp_path / "fixed.nii.gz")
    io.write(MOVING, tmp_path / "moving.nrrd")
    io.write(SERIES, tmp_path / "series.nii.gz")
    io.write(label_blocks(MOVING.grid), tmp_path / "labels.nii.gz")
    io.write(Points(random_points_mm(FIXED.grid, 5)), tmp_path / "points.csv")
    io.write(FIELD, tmp_path / "field.nii.gz")
    back = itk_affine(TO_MOVING.inverse())
    sitk.WriteTransform(back, str(tmp_path / "back.mat"))
    return tmp_path


def chained(folder, *inputs, out, **options):
    """Applies the field and then the inverse of an affine map."""
    words = ["--transform", folder / "field.nii.gz", f"inverse:{folder}/back.mat"]
    words += ["--onto", folder / "fixed.nii.gz", "--out", folder / out]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [value])
    return run_here("apply", *(folder / name for name in inputs), *words)


def test_several_inputs_go_into_a_folder(folder, capsys):
    names = ("moving.nrrd", "series.nii.gz", "points.csv")
    assert chained(folder, *names, out="moved") == 0
    moved = io.read(folder / "moved" / "moving.nii.gz")
    by_itk = itk_resampled(
        itk_image(MOVING.data, MOVING.grid),
        itk_chain(itk_field(FIELD), itk_affine(TO_MOVING)),
        FIXED.grid,
        sitk.sitkLinear,
    )
    np.testing.assert_allclose(moved.data, by_itk, atol=1e-2)
    series = io.read_channels(folder / "moved" / "series.nii.gz")
    np.testing.assert_allclose(series.data[..., 2], 3 * moved.data, atol=1e-2)
    points = io.read_points(folder / "points.csv")
    expected = (TO_MOVING @ FIELD).map_positions(points.mm)
    mapped = io.read_points(folder / "moved" / "points.csv").mm
    np.testing.assert_allclose(mapped, expected, atol=1e-4)
    output = " ".join(capsys.readouterr().out.split())
    assert "inverse of back.mat(field.nii.gz(x))" in output
    assert "3 volumes per voxel (series)" in output


class TestAntsDoesTheSame:
    """antsApplyTransforms lists its transforms in the same order."""

    @pytest.mark.parametrize(
        ("name", "options", "ants_options", "share"),
        [
            ("moving.nrrd", {}, {}, 1e-4),
            ("series.nii.gz", {}, {"imagetype": 3}, 1e-4),
            ("moving.nrrd", {"interpolation": "cubic"}, {"way": "bSpline"}, 1e-3),
            (
                "labels.nii.gz",
                {"labels": True},
                {"way": "nearestNeighbor"},
                0,
            ),
        ],
    )
    def test_with_a_chain(self, name, options, ants_options, share, folder):
        ants = pytest.importorskip("ants", reason="antspyx is not installed")
        assert chained(folder, name, out="moved.nii.gz", **options) == 0
        moving = ants.image_read(str(folder / name))
        way = ants_options.get("way", "linear")
        theirs = ants.apply_transforms(
            ants.image_read(str(folder / "fixed.nii.gz")),
            moving,
            [str(folder / "field.nii.gz"), str(folder / "back.mat")],
            whichtoinvert=[False, True],
            interpolator=way,
            imagetype=ants_options.get("imagetype", 0),
        ).numpy()
        ours = io.read_channels(folder / "moved.nii.gz").data.reshape(theirs.shape)
        # Positions on the edge of the image may fall to either side.
        assert (np.abs(ours - theirs) > share * np.abs(theirs).max()).mean() < 1e-3
        assert (theirs != 0).mean() > 0.3


def test_labels_with_smooth_borders_are_those_of_simpleitk(folder):
    assert chained(folder, "labels.nii.gz", out="l.nii.gz", interpolation="label") == 0
    labels = label_blocks(MOVING.grid)
    by_itk = itk_resampled(
        itk_image(labels.data, labels.grid),
        itk_chain(itk_field(FIELD), itk_affine(TO_MOVING)),
        FIXED.grid,
        sitk.sitkLabelLinear,
    )
    moved = io.read_labels(folder / "l.nii.gz").data
    assert (moved != by_itk).mean() < 1e-3
    assert set(np.unique(moved)) <= {0, 1, 2, 7, 40}


def test_voxel_size_without_an_image(folder):
    words = ["apply", folder / "back.mat", folder / "moving.nrrd", "--spacing-mm", 3]
    assert run_here(*words, "--out", folder / "m.nii.gz", "--fill", -5) == 0
    moved = io.read(folder / "m.nii.gz")
    np.testing.assert_allclose(moved.grid.spacing_mm, 3, atol=1e-6)
    assert moved.data.min() == -5


@pytest.mark.parametrize("way", ["nearest", "linear", "cubic"])
def test_beyond_a_ct_is_air_with_every_interpolation(way, folder):
    data = np.random.default_rng(0).integers(-1000, 50, FIXED.grid.shape, np.int16)
    data[0, 0, 0] = -1000
    io.write(Image(data, FIXED.grid), folder / "ct.nii.gz")
    far = np.eye(4)
    far[:3, 3] = 4 * FIXED.grid.affine[:3, 0]
    io.write(Affine(far), folder / "far.tfm")
    words = ["apply", folder / "far.tfm", folder / "ct.nii.gz", "--interpolation", way]
    words += ["--onto", folder / "fixed.nii.gz", "--out", folder / "o.nii.gz"]
    assert run_here(*words) == 0
    assert np.allclose(io.read(folder / "o.nii.gz").data[-3:], -1000, atol=1)


def test_beyond_a_label_map_is_background_whatever_its_numbers(folder):
    labels = label_blocks(FIXED.grid).data.astype(np.int16) - 1
    io.write(LabelMap(labels, FIXED.grid), folder / "l.nii.gz")
    far = np.eye(4)
    far[0, 3] = 1000
    io.write(Affine(far), folder / "far.tfm")
    words = ["apply", folder / "far.tfm", folder / "l.nii.gz", "--labels"]
    words += ["--onto", folder / "fixed.nii.gz", "--out", folder / "o.nii.gz"]
    assert run_here(*words) == 0
    assert not io.read_labels(folder / "o.nii.gz").data.any()


def test_an_image_that_is_there_is_no_folder_for_results(folder, capsys):
    (folder / "o.ome.zarr").mkdir()
    (folder / "o.ome.zarr" / "zarr.json").write_text("{}")
    assert chained(folder, "moving.nrrd", out="o.ome.zarr") == 2
    assert [path.name for path in (folder / "o.ome.zarr").iterdir()] == ["zarr.json"]
    assert "o.ome.zarr" in capsys.readouterr().err


def test_several_inputs_of_one_name_are_refused(folder, capsys):
    assert chained(folder, "moving.nrrd", "moving.nrrd", out="out") == 2
    assert "inputs of different names" in " ".join(capsys.readouterr().err.split())


def test_several_inputs_do_not_go_into_a_folder_named_as_a_file(folder, capsys):
    """As when a second transform is given as an argument."""
    assert chained(folder, "back.mat", "moving.nrrd", out="o.nii.gz") == 2
    assert "name these by --transform" in " ".join(capsys.readouterr().err.split())
    assert not (folder / "o.nii.gz").exists()


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("points.csv", ("--labels",)),
        ("points.csv", ("--onto", "fixed.nii.gz")),
        ("points.csv", ("--dtype", "uint8")),
        ("moving.nrrd", ("--frame", "LPS")),
    ],
)
def test_options_without_an_effect_are_refused(name, option, folder, capsys):
    words = ["apply", folder / "back.mat", folder / name, "--out", folder / "o"]
    assert run_here(*words, *option) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"{option[0]}: expected" in error
    assert "among the inputs" in error


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["labels.nii.gz"], {"labels": True, "interpolation": "cubic"}, "mixes labels"),
        (["moving.nrrd"], {"turn_vectors": True}, "vectors of three components"),
        (["moving.nrrd"], {"spacing_mm": -1}, "voxel size: expected positive mm"),
        ([], {}, "expected [TRANSFORM] INPUT ..."),
    ],
)
def test_bad_options_end_in_one_line(names, options, message, folder, capsys):
    assert chained(folder, *names, out="out.nii.gz", **options) == 2
    assert message in " ".join(capsys.readouterr().err.split())
