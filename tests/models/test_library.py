"""Models by their names: the shipped ones, and the user's own."""

import shutil
from pathlib import Path

import pytest

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.models import (
    is_model_name,
    library,
    load_model,
    path_for_own_model,
    shipped_models,
    user_folder,
    user_models,
)
from voltween.models.library import model_path

SHIPPED = library.shipped_folder() / "hippocampus.safetensors"


@pytest.fixture(name="folder")
def folder_fixture(monkeypatch, tmp_path):
    """The folder of the user's models, which does not exist yet."""
    folder = tmp_path / "models"
    monkeypatch.setenv("VOLTWEEN_MODELS", str(folder))
    return folder


def own(folder, name):
    """A model of the user's."""
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(SHIPPED, folder / f"{name}.safetensors"))


def test_the_folder_is_that_of_the_variable_or_of_the_users_data(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("VOLTWEEN_MODELS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert user_folder() == tmp_path / ".local" / "share" / "voltween" / "models"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert user_folder() == Path("/data/voltween/models")
    monkeypatch.setenv("VOLTWEEN_MODELS", "/models")
    assert user_folder() == Path("/models")


def test_own_models_are_found_by_their_names_from_anywhere(
    folder, tmp_path, monkeypatch
):
    assert list(user_models()) == []
    path = own(folder, "mouse")
    monkeypatch.chdir(tmp_path)
    assert model_path("mouse") == path
    assert load_model("mouse").name == "mouse"
    assert is_model_name("mouse")
    assert is_model_name("brain")
    assert not is_model_name(str(path))
    assert [name for name, _ in user_models()] == ["mouse"]


def test_a_shipped_model_is_never_hidden_by_an_own_one(folder):
    path = own(folder, "brain")
    with pytest.warns(SuspiciousInputWarning, match="rename it"):
        assert list(user_models()) == []
    assert model_path("brain") != path
    assert "brain" in dict(shipped_models())


def test_a_damaged_file_is_left_out_with_a_warning(folder):
    own(folder, "mouse")
    (folder / "odd.safetensors").write_bytes(b"no tensors")
    with pytest.warns(SuspiciousInputWarning, match="odd.safetensors"):
        names = [name for name, _ in user_models()]
    assert names == ["mouse"]


def test_without_a_home_shipped_models_and_files_are_found(monkeypatch):
    for name in ("VOLTWEEN_MODELS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nowhere():
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", nowhere)
    assert model_path("brain").is_file()
    assert model_path(SHIPPED) == SHIPPED
    with pytest.raises(InputError, match="VOLTWEEN_MODELS: expected the folder"):
        user_folder()
    with pytest.raises(InputError, match=r"one of your own .none yet."):
        model_path("mouse")


def test_names_that_are_not_found_name_the_models_at_hand(folder):
    own(folder, "mouse")
    with pytest.raises(
        InputError, match=r"brain, brain-any, headneck, hippocampus.*own .mouse."
    ):
        model_path("mice")


@pytest.mark.parametrize(
    "name",
    ["brain", "", "none", "auto", "a/b", "..", ".hidden", "a,b", "a+fast", "a:b"],
)
def test_names_that_would_mean_something_else_are_refused(folder, name):
    with pytest.raises(InputError, match="expected"):
        path_for_own_model(name)
    assert not folder.exists()


def test_a_name_is_a_file_of_the_folder(folder):
    assert path_for_own_model("mouse-2 (T2)") == folder / "mouse-2 (T2).safetensors"
