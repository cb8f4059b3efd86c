"""The command `synthesize`: pairs on disk from maps alone or from a plan."""

import shutil

import numpy as np
import pytest

from support.cohorts import blob, write_cohort, write_ct_cohort, write_label_maps
from voltween import io
from voltween.cli import main
from voltween.cli.synthesize import Synthesize
from voltween.cohorts import read_manifest
from voltween.spatial import LabelMap

FILES = {
    *("fixed.nii.gz", "moving.nii.gz", "pair.png"),
    *("fixed_labels.nii.gz", "moving_labels.nii.gz"),
}


@pytest.mark.parametrize("write", [write_label_maps, write_cohort])
def test_pairs_of_images_and_labels_from_a_manifest(write, tmp_path, capsys):
    manifest = write(tmp_path)
    words = ["synthesize", str(manifest), "--pairs", "2"]
    main([*words, "--out", str(tmp_path / "one")])
    assert "pair002: case" in capsys.readouterr().out
    pair = tmp_path / "one" / "pair002"
    assert {path.name for path in pair.iterdir()} == FILES
    image, labels = io.read(pair / "moving.nii.gz"), pair / "moving_labels.nii.gz"
    assert io.read_labels(labels).grid.is_close(image.grid)
    assert set(np.unique(io.read_labels(labels).data)) == {0, 1, 2}
    main([*words, "--out", str(tmp_path / "two"), "--seed", "7"])
    other = io.read(tmp_path / "two" / "pair002" / "moving.nii.gz")
    assert not np.array_equal(other.data, image.data)


def test_scans_of_ct_keep_their_window(tmp_path):
    """Their surroundings are shown in a part of the pairs, scaled as in a training."""
    manifest = write_ct_cohort(tmp_path)
    command = Synthesize(manifest, tmp_path / "out")
    recipe = command._planned(read_manifest(manifest))
    assert recipe.training.synthesis.share == 1
    assert recipe.preprocessing.hounsfield_window is not None


def test_pairs_of_one_map_and_of_a_folder_of_maps(tmp_path, capsys):
    write_label_maps(tmp_path)
    words = ["--pairs", "2", "--out", str(tmp_path / "pairs")]
    main(["synthesize", str(tmp_path / "labels1.nii.gz"), *words])
    assert "pair002: labels1 <- labels1" in capsys.readouterr().out
    maps = tmp_path / "maps"
    maps.mkdir()
    for number in range(3):
        shutil.copy(tmp_path / f"labels{number}.nii.gz", maps)
    (maps / "notes.txt").write_text("no map")
    main(["synthesize", str(maps), *words])
    shown = capsys.readouterr().out
    assert "labels2" in shown
    labels = io.read_labels(tmp_path / "pairs" / "pair001" / "fixed_labels.nii.gz")
    assert labels.labels == (1, 2)


def refusal(capsys, source, out):
    """The one line in which the command ends."""
    with pytest.raises(SystemExit) as caught:
        main(["synthesize", str(source), "--out", str(out)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not out.exists()
    return error


class TestRefused:
    def test_folder_without_maps(self, tmp_path, capsys):
        (tmp_path / "maps").mkdir()
        (tmp_path / "maps" / "cases.csv").touch()
        error = refusal(capsys, tmp_path / "maps", tmp_path / "out")
        assert "maps: expected label maps (NIfTI, " in error
        assert "got none: give the folder in which they lie, or a manifest" in error

    def test_map_without_labels(self, tmp_path, capsys):
        labels = blob(0)[1]
        path = tmp_path / "dark.nii.gz"
        io.write(LabelMap(np.zeros_like(labels.data), labels.grid), path)
        error = refusal(capsys, path, tmp_path / "out")
        assert "dark.nii.gz): labels: expected a label map" in error
        assert "got no label (every voxel is 0)" in error

    def test_image_in_place_of_a_map(self, tmp_path, capsys):
        path = tmp_path / "scan.nii.gz"
        io.write(blob(0)[0], path)
        error = refusal(capsys, path, tmp_path / "out")
        assert "scan.nii.gz: label map: expected whole numbers, got fractions" in error

    def test_what_is_not_there(self, tmp_path, capsys):
        error = refusal(capsys, tmp_path / "no.nii.gz", tmp_path / "out")
        assert "no.nii.gz: expected a file, got none of this name" in error


@pytest.mark.filterwarnings("default::voltween.errors.SuspiciousInputWarning")
def test_whole_numbers_of_an_image_are_told(tmp_path, capsys):
    image, labels = blob(0)
    path = tmp_path / "scan.nii.gz"
    io.write(LabelMap(image.data.round().astype(np.int16), labels.grid), path)
    main(["synthesize", str(path), "--out", str(tmp_path / "out"), "--pairs", "1"])
    error = capsys.readouterr().err
    assert error.count("scan.nii.gz): the label map looks like a scan") == 1


def test_a_plan_of_label_maps_shows_and_trains_without_an_edit(tmp_path):
    manifest = write_label_maps(tmp_path)
    path = tmp_path / "plan.toml"
    main(["plan", str(manifest), "--out", str(path)])
    text = path.read_text("utf-8")
    assert "label maps without a scan: 4 of 4 train" in text
    assert "training.synthesis.share" in text
    path.write_text(text.replace("steps = 10000", "steps = 1"))  # to be quick
    cache = ["--cache", str(tmp_path / "cache")]
    main(["synthesize", str(path), "--out", str(tmp_path / "shown"), *cache])
    assert len(list((tmp_path / "shown").iterdir())) == 4
    main(["train", str(path), "--out", str(tmp_path / "run"), *cache])
    assert (tmp_path / "run" / "best.safetensors").is_file()


def test_a_plan_without_synthesis_is_refused(tmp_path, capsys):
    main(["plan", str(write_cohort(tmp_path)), "--out", str(tmp_path / "plan.toml")])
    with pytest.raises(SystemExit) as caught:
        main(["synthesize", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "o")])
    assert caught.value.code == 2
    assert "expected above 0, to synthesize pairs" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
