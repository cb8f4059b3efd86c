"""Cards of own models, and what model files tell about the cases."""

from dataclasses import replace

import pytest

from support.training import CONFIG, run
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.models import load_model, read_tensors, weights_digest
from voltween.training import CardWords, keep_as_own_model, write_card

WORDS = CardWords(purpose="blobs", data="Drawn at random.", limits="Not for squares.")


@pytest.fixture(name="folder")
def folder_fixture(monkeypatch, tmp_path):
    """The folder of the user's models."""
    monkeypatch.setenv("VOLTWEEN_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def names_of(manifest):
    return [case.name for case in read_manifest(manifest)]


def text_of(path):
    """Everything that a model file says."""
    return str(read_tensors(path)[1])


def test_a_card_says_what_is_known(whole):
    text = write_card(whole, WORDS).read_text("utf-8")
    for words in (
        "# whole",
        "For blobs.",
        "Drawn at random. 4 scans for training, 2 to choose the best step.",
        "License: Not stated.",
        "AD, 16 x 16 x 16 voxels of 2.5 x 2.5 x 2.5 mm",
        "Trained from nothing. Adam at 0.001, 2 pairs per step",
        "| before | 0.",
        "doing nothing",
        "Not for squares. Not a medical device.",
    ):
        assert words in text, words


def test_neither_card_nor_model_names_a_case(whole, manifest, folder):
    path = keep_as_own_model(whole, "blobs", WORDS)
    texts = [write_card(whole, WORDS).read_text("utf-8"), text_of(path)]
    texts += [path.with_suffix(".md").read_text("utf-8")]
    texts += [text_of(whole / "best.safetensors")]
    for name in names_of(manifest):
        assert not any(name in text for text in texts)
    assert path.parent == folder
    assert "'train_scans': 4" in texts[1]


def test_names_are_kept_if_asked(manifest, tmp_path):
    best = run(manifest, tmp_path, replace(CONFIG, steps=1, names_cases=True))
    assert load_model(best).provenance["train_cases"] == names_of(manifest)[:4]
    assert names_of(manifest)[0] in write_card(tmp_path, WORDS).read_text("utf-8")


def test_folders_are_not_part_of_a_model(manifest, whole, tmp_path):
    start = str(whole / "best.safetensors")
    best = run(manifest, tmp_path, replace(CONFIG, steps=1, start_from=start))
    stated = load_model(best).provenance["training"]["start_from"]
    assert stated == f"best.safetensors, {weights_digest(start)}"
    assert str(whole) not in text_of(best)
    text = write_card(tmp_path, WORDS).read_text("utf-8")
    assert "Fine-tuned from best.safetensors." in text


def test_an_own_model_is_loaded_by_its_name(whole, folder):
    path = keep_as_own_model(whole, "blobs", WORDS)
    model = load_model("blobs")
    assert model.name == "blobs"
    assert model.provenance["purpose"] == "blobs"
    assert "before registration" in model.provenance["measured"]
    with pytest.raises(InputError, match="expected no model of this name, got one"):
        keep_as_own_model(whole, "blobs", WORDS)
    other = replace(WORDS, purpose="more blobs")
    assert keep_as_own_model(whole, "blobs", other, overwrite=True) == path
    assert load_model("blobs").provenance["purpose"] == "more blobs"


def test_names_of_shipped_models_are_refused(whole, folder):
    with pytest.raises(InputError, match="a name that no shipped model has"):
        keep_as_own_model(whole, "brain", WORDS)
    assert not folder.exists()
