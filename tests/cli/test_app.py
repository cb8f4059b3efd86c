import errno
import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.cohorts import write_cohort
from support.scans import FIXED, MOVING, label_blocks, tiny_model
from voltween import io
from voltween.cli import main
from voltween.io import nifti
from voltween.models import load_model, save_model
from voltween.spatial import Affine, Grid, Image, Points

REGISTRATION_FILES = {
    "fixed_to_moving.h5",
    "fixed_to_moving.nii.gz",
    "moved.nii.gz",
    "moving_to_fixed.h5",
    "overview.png",
    "registration.json",
}


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    """A folder with two scans, their labels and a model."""
    io.write(FIXED, tmp_path / "fixed.nii.gz")
    io.write(MOVING, tmp_path / "moving.nrrd")
    io.write(label_blocks(FIXED.grid), tmp_path / "fixed_labels.nii.gz")
    io.write(label_blocks(MOVING.grid), tmp_path / "moving_labels.nii.gz")
    save_model(tiny_model(strength=0.1), tmp_path / "tiny.safetensors")
    return tmp_path


def register(folder, **changes):
    """The register command on the folder's files, with some of them changed."""
    files = {
        "fixed": "fixed.nii.gz",
        "moving": "moving.nrrd",
        "model": "tiny.safetensors",
        "out": "result",
    } | changes
    main(
        ["register", str(folder / files["fixed"]), str(folder / files["moving"])]
        + ["--model", str(folder / files["model"]), "--out", str(folder / files["out"])]
        + [
            word
            for key in ("fixed_labels", "moving_labels")
            if key in files
            for word in (f"--{key.replace('_', '-')}", str(folder / files[key]))
        ]
    )
    return folder / files["out"]


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
class TestRegister:
    def test_writes_what_it_promises(self, folder):
        out = register(folder)
        assert {file.name for file in out.iterdir()} == REGISTRATION_FILES
        figures = json.loads((out / "registration.json").read_text())
        assert figures["model"] == "tiny"
        assert {"correlation", "folding_percent", "seconds", "versions"} <= set(figures)
        assert "dice" not in figures

    def test_measures_and_moves_labels(self, folder, capsys):
        out = register(
            folder,
            fixed_labels="fixed_labels.nii.gz",
            moving_labels="moving_labels.nii.gz",
        )
        figures = json.loads((out / "registration.json").read_text())
        assert list(figures["dice"]) == ["before", "affine", "dense 1", "dense 2"]
        assert set(figures["dice"]["before"]) == {"1", "2", "7", "40"}
        moved = io.read_labels(out / "moved_labels.nii.gz")
        assert moved.grid.is_close(FIXED.grid)
        assert set(moved.labels) <= {1, 2, 7, 40}
        assert "Mean Dice over shared labels: before" in capsys.readouterr().out

    def test_files_agree_with_each_other(self, folder):
        out = register(folder)
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
        assert "using the model 'brain'" in capsys.readouterr().out

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
    "labels": (lambda folder: None, {"fixed": "fixed_labels.nii.gz"}),
    "image as labels": (
        lambda folder: None,
        {"fixed_labels": "fixed.nii.gz", "moving_labels": "moving_labels.nii.gz"},
    ),
    "fixed labels alone": (
        lambda folder: None,
        {"fixed_labels": "fixed_labels.nii.gz"},
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
        ("missing", "nothing.nii.gz: no such file"),
        ("text", "expected a NIfTI image"),
        ("cut short", "cut short"),
        ("NaN", "1 of 4032 that are NaN"),
        ("constant", "constant image"),
        ("2D", "expected one 3D image, got size 9 x 9"),
        ("4D", "got size 9 x 9 x 9 x 3"),
        ("labels", "looks like a label map"),
        ("image as labels", "is this an intensity image"),
        ("fixed labels alone", "measures nothing without --moving-labels"),
        ("folder in the way", "result: cannot be written"),
        ("damaged model", "damaged or of another kind"),
        ("unwritable", "cannot make folder"),
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

    monkeypatch.setattr(nifti.shutil, "copyfileobj", fail)
    with pytest.raises(SystemExit) as caught:
        register(folder)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"voltween: {folder / 'result' / 'moved.nii.gz'}")
    assert "No space left on device" in error
    assert error.count("\n") == 1
    assert not (folder / "result").exists()


def test_the_package_itself_can_be_run():
    process = subprocess.run(
        [sys.executable, "-m", "voltween", "models"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hippocampus" in process.stdout


def test_commands_start_without_what_they_do_not_need():
    slow = {"matplotlib", "nilearn", "pyvista", "torch._dynamo", "vtkmodules"}
    code = f"import sys, voltween.cli; print(sorted({slow} & set(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
class TestApply:
    def test_image_equals_the_moved_image(self, folder):
        out = register(folder)
        main(
            [
                "apply",
                str(out / "fixed_to_moving.h5"),
                str(folder / "moving.nrrd"),
                "--onto",
                str(folder / "fixed.nii.gz"),
                "--out",
                str(folder / "again.nii.gz"),
            ]
        )
        expected = io.read(out / "moved.nii.gz").data
        np.testing.assert_allclose(
            io.read(folder / "again.nii.gz").data, expected, atol=0.5
        )

    def test_labels_stay_labels(self, folder):
        out = register(folder)
        main(
            [
                "apply",
                str(out / "fixed_to_moving.h5"),
                str(folder / "moving_labels.nii.gz"),
                "--onto",
                str(folder / "fixed.nii.gz"),
                "--labels",
                "--out",
                str(folder / "moved_labels.nii.gz"),
            ]
        )
        assert set(io.read_labels(folder / "moved_labels.nii.gz").labels) <= {
            1,
            2,
            7,
            40,
        }

    @pytest.mark.filterwarnings("default")
    def test_label_map_without_the_flag_gets_a_warning(self, folder, capsys):
        io.write(Affine.identity(), folder / "t.tfm")
        labels = str(folder / "moving_labels.nii.gz")
        words = ["--onto", labels, "--out", str(folder / "moved.nii.gz")]
        main(["apply", str(folder / "t.tfm"), labels, *words])
        error = capsys.readouterr().err
        assert error.startswith("voltween: warning: ")
        assert "give --labels" in error

    def test_points_go_the_transforms_way_and_it_says_so(self, folder, capsys):
        out = register(folder)
        points = Points(FIXED.grid.center_mm[None], ("center",))
        io.write(points, folder / "points.csv")
        transform = str(out / "fixed_to_moving.h5")
        moved = str(folder / "moved.csv")
        main(["apply", transform, str(folder / "points.csv"), "--out", moved])
        expected = io.read_transform(transform).map_points(points)
        np.testing.assert_allclose(io.read_points(moved).mm, expected.mm)
        assert io.read_points(moved).names == ("center",)
        assert "from the fixed to the moving scan" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (
                ["fixed.nii.gz", "moving.nrrd", "--onto", "fixed.nii.gz"],
                "displacement field",
            ),
            (
                ["tiny.safetensors", "moving.nrrd", "--onto", "fixed.nii.gz"],
                "ITK transform",
            ),
            (["t.tfm", "moving.nrrd"], "--onto FIXED is needed"),
            (["t.tfm", "none.csv"], "no such file"),
        ],
    )
    def test_bad_input_ends_in_one_line(self, words, message, folder, capsys):
        io.write(Affine.identity(), folder / "t.tfm")
        paths = [w if w.startswith("--") else str(folder / w) for w in words]
        with pytest.raises(SystemExit) as caught:
            main(["apply", *paths, "--out", str(folder / "out.nii.gz")])
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert not (folder / "out.nii.gz").exists()


def test_train_then_evaluate_on_a_cohort_of_nrrd_in_mixed_orientations(
    tmp_path, capsys
):
    manifest = str(write_cohort(tmp_path, suffix=".nrrd"))
    run = tmp_path / "run"
    main(
        [
            "train",
            manifest,
            "--out",
            str(run),
            "--cascade",
            "AD",
            "--channels",
            "2",
            "--steps",
            "4",
            "--validate-every",
            "2",
            "--augmentation.gamma",
            "0.2",
        ]
    )
    model = load_model(run / "best.safetensors")
    assert model.network.config.stages == "AD"
    assert model.preprocessing.shape == (32, 32, 32)
    main(
        [
            "evaluate",
            manifest,
            "--model",
            str(run / "best.safetensors"),
            "--out",
            str(tmp_path / "figures"),
        ]
    )
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert names >= {"pairs.csv", "structures.csv", "stages.csv", "summary.md"}
    assert names >= {"summary.csv", "summary_stages.csv", "summary.tex", "finished"}
    assert "model:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cascade", "DA"], "at most one A followed by"),
        (["--shape", "30", "32", "32"], r"nearest legal shape is (32, 32, 32)"),
        (["--steps", "0"], "steps must be at least 1"),
        (["--learning-rate", "-1"], "learning_rate must be > 0"),
        (["--masked-share", "2"], "masked_share must be 0 to 1"),
    ],
)
def test_bad_training_settings_end_in_one_line(options, message, tmp_path, capsys):
    manifest = str(write_cohort(tmp_path, 2, 2))
    with pytest.raises(SystemExit) as caught:
        main(["train", manifest, "--out", str(tmp_path / "run"), *options])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_models_lists_the_shipped_ones(capsys):
    main(["models"])
    listing = capsys.readouterr().out
    assert "brain" in listing
    assert "hippocampus" in listing


@pytest.mark.parametrize(
    "command",
    [
        "register",
        "apply",
        "prepare",
        "plan",
        "train",
        "evaluate",
        "compare",
        "experiment",
        "models",
        "demo",
        "bench",
        "figures",
    ],
)
def test_help_of_every_command(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"voltween {command}" in capsys.readouterr().out
