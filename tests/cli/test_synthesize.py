"""The command `synthesize`: pairs on disk from maps alone or from a plan."""

import numpy as np
import pytest

from support.cohorts import write_cohort, write_label_maps
from voltween import io
from voltween.cli import main

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
