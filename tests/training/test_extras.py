"""Training without the packages of the extras `train` and `figures`."""

from dataclasses import replace

import pytest

from support.imports import NAMES, all_imports_of, top_imports
from support.packages import hide_packages
from support.training import CASCADE, CONFIG, PREPROCESSING, run
from voltween.errors import MissingPackageError
from voltween.training import curves_figure, write_plan
from voltween.training.curves import write_progress
from voltween.training.plan_file import TrainingPlan

OPTIONAL = {"lightning_fabric", "tensorboardX", "tomlkit", "matplotlib"}


@pytest.mark.parametrize("package", ["training", "evaluation"])
def test_packages_are_imported_without_them(package):
    for module in all_imports_of(package):
        full_names = top_imports(NAMES[module])
        assert not OPTIONAL & {name.split(".")[0] for name in full_names}, module


@pytest.mark.parametrize("package", ["lightning-fabric", "tensorboardX"])
def test_training_names_the_extra(package, manifest, tmp_path, monkeypatch):
    hide_packages(monkeypatch, package)
    with pytest.raises(MissingPackageError) as caught:
        run(manifest, tmp_path / "run")
    assert str(caught.value) == (
        f"training: expected the {package} package, got none installed: "
        "pip install 'voltween[train]'"
    )
    assert not (tmp_path / "run").exists()


def test_a_plan_names_the_extra(tmp_path, monkeypatch):
    hide_packages(monkeypatch, "tomlkit")
    plan = TrainingPlan(tmp_path / "cases.csv", PREPROCESSING, CASCADE)
    with pytest.raises(MissingPackageError, match=r"writing a plan: .*tomlkit"):
        write_plan(plan, tmp_path / "plan.toml")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_training_warns_once_and_draws_no_curves(
    manifest, tmp_path, monkeypatch
):
    hide_packages(monkeypatch, "matplotlib")
    with pytest.warns(UserWarning, match="progress.png is not drawn") as warned:
        run(manifest, tmp_path, replace(CONFIG, steps=4), draws_curves=True)
    assert [str(warning.message) for warning in warned] == [
        "progress.png is not drawn, as Matplotlib is not installed: "
        "pip install 'voltween[figures]'"
    ]
    assert (tmp_path / "tweening.png").exists()
    assert not (tmp_path / "progress.png").exists()


def test_curves_name_the_extra(tmp_path, monkeypatch):
    hide_packages(monkeypatch, "matplotlib")
    for draw in (
        lambda: write_progress(tmp_path, tmp_path / "progress.png"),
        lambda: curves_figure([tmp_path]),
    ):
        with pytest.raises(MissingPackageError, match=r"voltween\[figures\]"):
            draw()
