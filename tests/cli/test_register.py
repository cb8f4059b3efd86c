"""`voltween register`: its files, its errors."""

import errno
import hashlib
import json
import re
import shlex

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.commands import register, write_pair
from support.scans import FIXED, MOVING
from voltween import io
from voltween.cli import main
from voltween.io import nifti
from voltween.registration import OUTPUTS
from voltween.spatial import Grid, Image, LabelMap, MultichannelImage

REGISTRATION_FILES = {
    "fixed_to_moving.h5",
    "moved.nii.gz",
    "moving_to_fixed.h5",
    "overview.png",
    "registration.json",
    "report.html",
}


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    """A folder with two scans, their labels and a model."""
    return write_pair(tmp_path)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
class TestRegister:
    def test_writes_what_it_promises(self, folder):
        out = register(folder)
        assert {file.name for file in out.iterdir()} == REGISTRATION_FILES
        figures = json.loads((out / "registration.json").read_text("utf-8"))
        assert figures["model"] == "tiny"
        assert {"correlation", "folding_percent", "seconds", "versions"} <= set(figures)
        assert "dice" not in figures

    # The scans are noise: a wrong network's answer is not kept, and nothing overlaps.
    @pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning")
    def test_measures_and_moves_labels(self, folder, capsys):
        out = register(
            folder,
            fixed_labels="fixed_labels.nii.gz",
            moving_labels="moving_labels.nii.gz",
        )
        figures = json.loads((out / "registration.json").read_text("utf-8"))
        assert next(iter(figures["dice"])) == "before"
        assert set(figures["mean_dice"]) == set(figures["dice"])
        assert set(figures["dice"]["before"]) == {"1", "2", "7", "40"}
        moved = io.read_labels(out / "moved_labels.nii.gz")
        assert moved.grid.is_close(FIXED.grid)
        assert set(moved.labels) <= {1, 2, 7, 40}
        assert "Mean Dice over shared labels: before" in capsys.readouterr().out

    def test_takes_one_volume_of_a_4d_image(self, folder):
        volumes = np.stack([MOVING.data * factor for factor in (3, 1, 2)], axis=-1)
        series = MultichannelImage(volumes, MOVING.grid, "series")
        io.write(series, folder / "series.nii.gz")
        io.write(MOVING, folder / "alone.nii.gz")
        options = "--refine", "none", "--outputs", "moved"
        of_series = register(
            folder, "--volume", "1", *options, moving="series.nii.gz", out="of_series"
        )
        alone = register(folder, *options, moving="alone.nii.gz")
        moved = [io.read(out / "moved.nii.gz").data for out in (of_series, alone)]
        np.testing.assert_array_equal(*moved)

    def test_a_volume_of_3d_scans_is_refused(self, folder, capsys):
        with pytest.raises(SystemExit):
            register(folder, "--volume", "1")
        error = " ".join(capsys.readouterr().err.split())
        assert "--volume: expected a 4D image among the scans" in error

    def test_files_agree_with_each_other(self, folder):
        outputs = "moved,transform,field,inverse"
        # Without a refinement it is smooth, so that it has an inverse.
        out = register(folder, "--refine", "none", "--outputs", outputs)
        transform = io.read_transform(out / "fixed_to_moving.h5")
        moved = transform.resample(MOVING, onto=FIXED.grid)
        np.testing.assert_allclose(
            io.read(out / "moved.nii.gz").data, moved.data, atol=0.5
        )
        field = io.read_transform(out / "fixed_to_moving.nii.gz")
        centers = FIXED.grid.voxel_centers_mm()[1:-1, 1:-1, 1:-1].reshape(-1, 3)
        mapped = transform.map_positions(centers)
        np.testing.assert_allclose(field.map_positions(centers), mapped, atol=1e-3)
        back = io.read_transform(out / "moving_to_fixed.h5").map_positions(mapped)
        assert np.linalg.norm(back - centers, axis=1).mean() < 0.05

    def test_simpleitk_resamples_to_the_same_moved_image(self, folder):
        out = register(folder)
        by_itk = sitk.Resample(
            sitk.ReadImage(str(folder / "moving.nrrd")),
            sitk.ReadImage(str(folder / "fixed.nii.gz")),
            sitk.ReadTransform(str(out / "fixed_to_moving.h5")),
            sitk.sitkLinear,
            0.0,
        )
        ours = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "moved.nii.gz")))
        difference = np.abs(sitk.GetArrayFromImage(by_itk) - ours)
        assert np.quantile(difference, 0.995) < 0.5  # of about 3000

    def test_sheared_fixed_scan_is_registered_too(self, folder):
        affine = FIXED.grid.affine.copy()
        affine[:3, 1] += 0.1 * affine[:3, 0]
        sheared = Image(FIXED.data, Grid(FIXED.grid.shape, affine))
        io.write(sheared, folder / "sheared.nii.gz")
        out = register(folder, fixed="sheared.nii.gz")
        assert io.read(out / "moved.nii.gz").grid.is_close(sheared.grid)

    def test_without_model_it_says_which_it_takes(self, folder, capsys):
        main(
            [
                "register",
                str(folder / "fixed.nii.gz"),
                str(folder / "moving.nrrd"),
                "--out",
                str(folder / "result"),
            ]
        )
        shown = capsys.readouterr().out
        assert "Model: none (no model learned from such scans" in shown
        assert "Verdict: " in shown

    # The scans are noise: a wrong network's answer is not kept, and nothing overlaps.
    @pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning")
    def test_registration_json_says_where_the_result_comes_from(self, folder, capsys):
        (folder / "names.csv").write_text("label,name\n1,brainstem\n7,eye\n")
        labels = [folder / f"{side}_labels.nii.gz" for side in ("fixed", "moving")]
        scans = [folder / "fixed.nii.gz", folder / "moving.nrrd"]
        model = folder / "tiny.safetensors"
        words = ["register", *scans, "--model", model, "--out", folder / "result"]
        words += ["--fixed-labels", labels[0], "--moving-labels", labels[1]]
        words = [str(word) for word in [*words, "--structures", folder / "names.csv"]]
        main(words)
        figures = json.loads(
            (folder / "result" / "registration.json").read_text("utf-8")
        )
        assert figures["inputs"] == {
            role: [{"path": str(path), "sha256": sha256(path)}]
            for role, path in {
                "fixed": scans[0],
                "moving": scans[1],
                "fixed_labels": labels[0],
                "moving_labels": labels[1],
                "structures": folder / "names.csv",
            }.items()
        }
        assert figures["model_sha256"] == sha256(model)
        assert shlex.split(figures["command"]) == ["voltween", *words]
        assert set(figures["dice"]["before"]) == {"brainstem", "2", "eye", "40"}
        error_mm = figures["round_trip_error_mm"]
        shown = capsys.readouterr()
        for name in ("median", "percentile_95", "largest"):
            assert f"{round(error_mm[name], 3):.3g} mm" in shown.out
        wall, processor = (sum(s.values()) for s in figures["seconds"].values())
        assert f"scans were read: {wall:.2f} s (" in shown.out
        assert f"summed over threads: {processor:.2f} s." in shown.out

    @pytest.mark.filterwarnings("default")
    def test_warnings_are_written_as_they_are_shown(self, folder, capsys):
        labels = io.read_labels(folder / "fixed_labels.nii.gz")
        affine = labels.grid.affine.copy()
        affine[:3, 3] += 5
        shifted = LabelMap(labels.data, Grid(labels.grid.shape, affine))
        io.write(shifted, folder / "shifted.nii.gz")
        out = register(
            folder, fixed_labels="shifted.nii.gz", moving_labels="moving_labels.nii.gz"
        )
        shown = capsys.readouterr().err
        written = json.loads((out / "registration.json").read_text("utf-8"))["warnings"]
        assert any("has the scan's shape" in text for text in written)
        assert all(f"voltween: warning: {text}\n" in shown for text in written)

    def test_only_the_files_that_are_wanted_are_written(self, folder, capsys):
        write_with = ["register", folder / "fixed.nii.gz", folder / "moving.nrrd"]
        write_with += ["--model", folder / "tiny.safetensors", "--out", folder / "out"]
        write_with += ["--outputs", "moved, transform"]
        main(list(map(str, write_with)))
        files = {file.name for file in (folder / "out").iterdir()}
        assert files == {"moved.nii.gz", "fixed_to_moving.h5", "registration.json"}
        shown = capsys.readouterr().out
        assert "Error of the inverse" not in shown
        assert "overview.png" not in shown
        with pytest.raises(SystemExit):
            main([*map(str, write_with[:-1]), "all"])
        assert "names of moved, labels, transform" in capsys.readouterr().err

    def test_help_names_every_output(self, capsys):
        with pytest.raises(SystemExit):
            main(["register", "--help"])
        shown = " ".join(re.sub("[│\n]", " ", capsys.readouterr().out).split())
        assert all(f" {name}" in shown for name in OUTPUTS)

    def test_an_existing_folder_keeps_its_other_files(self, folder):
        (folder / "result").mkdir()
        (folder / "result" / "notes.txt").write_text("mine")
        out = register(folder)
        assert {file.name for file in out.iterdir()} == REGISTRATION_FILES | {
            "notes.txt"
        }


def cut_short(folder):
    whole = (folder / "fixed.nii.gz").read_bytes()
    (folder / "bad.nii.gz").write_bytes(whole[: len(whole) // 2])


def with_nan(folder):
    data = FIXED.data.copy()
    data[3, 3, 3] = np.nan
    nibabel.save(nibabel.Nifti1Image(data, FIXED.grid.affine), folder / "bad.nii.gz")


def constant(folder):
    io.write(Image(np.full(FIXED.grid.shape, 7), FIXED.grid), folder / "bad.nii.gz")


def of_size(*size):
    def write(folder):
        sitk.WriteImage(sitk.Image(size, sitk.sitkFloat32), str(folder / "bad.nii.gz"))

    return write


def of_somebody_else(folder):
    folder.mkdir()
    (folder / "overview.png").write_text("mine")


# What makes bad.nii.gz, or another thing, bad, and what that changes in the command.
BAD = {"fixed": "bad.nii.gz"}


BAD_INPUT = {
    "missing": (lambda folder: None, {"fixed": "nothing.nii.gz"}),
    "text": (lambda folder: (folder / "bad.nii.gz").write_text("no image"), BAD),
    "cut short": (cut_short, BAD),
    "NaN": (with_nan, BAD),
    "constant": (constant, BAD),
    "2D": (of_size(9, 9), BAD),
    "4D": (of_size(9, 9, 9, 3), BAD),
    "image as labels": (
        lambda folder: None,
        {"fixed_labels": "fixed.nii.gz", "moving_labels": "moving_labels.nii.gz"},
    ),
    "labels elsewhere": (
        lambda folder: None,
        {
            "fixed_labels": "moving_labels.nii.gz",
            "moving_labels": "moving_labels.nii.gz",
        },
    ),
    "a file that is no result": (
        lambda folder: of_somebody_else(folder / "result"),
        {},
    ),
    "folder in the way": (
        lambda folder: (folder / "result" / "moved.nii.gz").mkdir(parents=True),
        {},
    ),
    "damaged model": (
        lambda folder: (folder / "tiny.safetensors").write_bytes(b"x" * 500),
        {},
    ),
    "unwritable": (
        lambda folder: (folder / "file").write_text("in the way"),
        {"out": "file/result"},
    ),
}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "nothing.nii.gz: expected a file"),
        ("text", "damaged, cut short or of another kind"),
        ("cut short", "cut short"),
        ("NaN", "1 of 4032 that are NaN"),
        ("constant", "fixed: "),
        ("2D", "expected one 3D image, got size 9 x 9"),
        ("4D", "got size 9 x 9 x 9 x 3"),
        ("image as labels", "is this an intensity image"),
        ("labels elsewhere", "expected voxels > 0 on the scan, got none"),
        ("a file that is no result", "a folder without it that has overview.png"),
        ("folder in the way", "folders of the same names"),
        ("damaged model", "damaged or of another kind"),
        ("unwritable", "expected a folder that can be made"),
    ],
)
@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_bad_input_ends_in_one_line_and_leaves_nothing(kind, message, folder, capsys):
    make_bad, changes = BAD_INPUT[kind]
    make_bad(folder)
    before = set(folder.rglob("*"))
    with pytest.raises(SystemExit) as caught:
        register(folder, **changes)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("voltween: ")
    assert message in error
    assert error.count("\n") == 1
    assert set(folder.rglob("*")) == before


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_full_disk_ends_in_one_line_and_leaves_nothing(folder, capsys, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nifti, "_in_file_order", fail)
    with pytest.raises(SystemExit) as caught:
        register(folder)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"voltween: {folder / 'result' / 'moved.nii.gz'}")
    assert "No space left on device" in error
    assert error.count("\n") == 1
    assert not (folder / "result").exists()


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
@pytest.mark.filterwarnings("always::voltween.errors.SuspiciousInputWarning")
def test_a_warning_is_shown_and_recorded_once(folder, capsys):
    labels = Image(io.read_labels(folder / "fixed_labels.nii.gz").data, FIXED.grid)
    io.write(labels, folder / "fixed.nii.gz")
    pair = [folder / "fixed.nii.gz", folder / "fixed.nii.gz"]
    options = ["--refine", 8, "--outputs", "moved", "--out", folder / "out"]
    main(["register", *map(str, (*pair, *options))])
    assert capsys.readouterr().err.count("looks like a label map") == 2
    told = json.loads((folder / "out" / "registration.json").read_text("utf-8"))[
        "warnings"
    ]
    assert [text[:6] for text in told if "looks like" in text] == ["fixed:", "moving"]
