"""Label maps without scans as validation samples: one contrast each, kept on disk."""

from dataclasses import replace

import pytest
import torch

from support.cohorts import write_label_maps
from support.training import CASCADE, PREPROCESSING
from voltween.cohorts import read_manifest
from voltween.training import SYNTHESIS_TRAINING, Recipe
from voltween.training.case_store import CaseStore
from voltween.training.rendered_maps import store_rendered
from voltween.training.rendering import Renderer
from voltween.training.tissues import Tissues

RECIPE = Recipe(PREPROCESSING, CASCADE, SYNTHESIS_TRAINING)


@pytest.fixture(scope="module", name="maps")
def maps_fixture(tmp_path_factory):
    """The `val` cases of a manifest of label maps."""
    folder = tmp_path_factory.mktemp("maps")
    manifest = write_label_maps(folder, 5, 2, cohorts=("one", "two"))
    cases = read_manifest(manifest, may_lack_scans=True)
    return [case for case in cases if case.split == "val"]


def test_each_map_has_one_contrast_forever(maps, tmp_path):
    stores = [CaseStore(RECIPE, tmp_path / n, Tissues()) for n in ("a", "b")]
    one, other = (store.validation(maps) for store in stores)
    assert [sample.name for sample in one] == ["case5", "case6"]
    assert [sample.cohort for sample in one] == ["two", "one"]
    for sample, again in zip(one, other, strict=True):
        assert torch.equal(sample.image, again.image)
        assert set(sample.labels.unique().tolist()) == {0, 1, 2}


def test_none_is_in_memory_before_it_is_used(maps, tmp_path, monkeypatch):
    """Once rendered, samples are files, which the next run reads."""
    first = CaseStore(RECIPE, tmp_path, Tissues()).validation(maps)
    monkeypatch.setattr(Renderer, "render", None)
    second = CaseStore(RECIPE, tmp_path, Tissues()).validation(maps)
    assert second[0] is not second[0]
    assert torch.equal(first[1].image, second[1].image)


@pytest.mark.parametrize(
    "changes",
    [
        {"synthesis": replace(SYNTHESIS_TRAINING.synthesis, stripped=1.0)},
        {"augmentation": replace(SYNTHESIS_TRAINING.augmentation, noise=0.5)},
        {"tissues": Tissues({("", 1): (1, 1), ("", 2): (1, 1)})},
    ],
)
def test_other_settings_are_rendered_anew(maps, tmp_path, changes):
    store = CaseStore(RECIPE, tmp_path, Tissues())
    volumes, renderer = store._volumes(maps), store._renderer
    before = store_rendered(volumes, renderer, tmp_path)
    after = store_rendered(volumes, replace(renderer, **changes), tmp_path)
    assert not torch.equal(before[0].image, after[0].image)
