"""`voltween apply`."""

import numpy as np
import pytest

from support.commands import register, write_pair
from support.scans import FIXED
from voltween import io
from voltween.cli import main
from voltween.spatial import Affine, Points


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    """A folder with two scans, their labels and a model."""
    return write_pair(tmp_path)


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
        assert "maps points of the fixed scan" in capsys.readouterr().out

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
            (["t.tfm", "moving.nrrd"], "--onto: expected an image"),
            (["t.tfm", "none.nii", "--onto", "fixed.nii.gz"], "none.nii: expected a"),
            (
                ["none.tfm", "points.csv"],
                "expected a name for points that ends in .csv",
            ),
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
