"""`voltween train` and the model it makes."""

import pytest

from support.cohorts import write_cohort
from voltween.cli import main
from voltween.models import load_model


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
