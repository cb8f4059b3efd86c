"""Registration by learned features: computed once, in their place, recorded."""

import json
from dataclasses import replace

import numpy as np
import pytest

from support.heads import head
from support.scans import tiny_features
from voltween.errors import InputError
from voltween.models import FeatureModel
from voltween.refinement import FEATURES, AffineLevel, Level, Refinement
from voltween.registration import register, settling, write_registration
from voltween.registration.fitting import fit_to_pair
from voltween.registration.guidance import Guidance
from voltween.registration.scan_features import ScanFeatures
from voltween.spatial import Affine, Grid, Image

QUICK = Refinement(
    (Level(2, 4, 0.5, 2), Level(2, 4, 0.5)),
    affine_levels=(AffineLevel(2, 5, 0.3),),
    similarity=FEATURES,
)


class Counting(FeatureModel):
    """Features that count the scans that were described."""

    runs = 0

    def of(self, scan):
        Counting.runs += 1
        return super().of(scan)


@pytest.fixture(name="model")
def model_fixture(monkeypatch):
    """Features that are taken for any scans."""
    model = Counting(**vars(tiny_features()))
    Counting.runs = 0
    monkeypatch.setattr(settling, "choose_features", lambda fixed, moving: model)
    return model


def test_features_lie_where_the_scan_is():
    scan, model = head(), tiny_features()
    source = ScanFeatures(scan, model)
    (on_own,) = source.on(source.volume.grid).numpy()
    np.testing.assert_allclose(on_own, source.volume.shares, atol=1e-6)
    shifted = Grid(scan.grid.shape, scan.grid.affine)
    shares = source.on(shifted)[0, 1].numpy()
    direct = Affine.identity().resample(
        Image(source.volume.shares[1], source.volume.grid), onto=shifted, fill=0.0
    )
    np.testing.assert_allclose(shares, direct.data, atol=1e-6)


def test_beyond_the_network_all_is_background():
    source = ScanFeatures(head(), tiny_features())
    affine = source.volume.grid.affine.copy()
    affine[:3, 3] += 5000
    shares = source.on(Grid((4, 4, 4), affine)).numpy()
    assert (shares[:, 0] == 1).all()
    assert (shares[:, 1:] == 0).all()


def test_a_view_has_features_only_where_it_is_given_them():
    view = fit_to_pair(head(), head(1), multiple=2)
    assert view.tensors(Guidance()).fixed.features is None
    tensors = view.with_features(tiny_features()).tensors(Guidance())
    assert tensors.moving.features.shape == (1, 3, *tensors.shape)


def test_every_scan_is_described_once_and_the_features_are_named(model):
    result = register(head(), head(1), model=None, refinement=QUICK)
    assert Counting.runs == 2
    assert result.features_name == "tiny"
    assert result.refinement.similarity == FEATURES
    assert model.runs == 2


def test_other_similarities_need_no_features(model):
    plain = replace(QUICK, similarity="local correlation")
    result = register(head(), head(1), model=None, refinement=plain)
    assert result.features_name is None
    assert model.runs == 0


@pytest.mark.usefixtures("model")
def test_the_record_names_the_features(tmp_path, monkeypatch):
    result = register(head(), head(1), model=None, refinement=QUICK)
    monkeypatch.setattr(
        "voltween.registration.result_folder.features_digest", lambda name: "abc"
    )
    write_registration(result, tmp_path, outputs=["transform"])
    record = json.loads((tmp_path / "registration.json").read_text("utf-8"))
    assert record["features"] == {"name": "tiny", "sha256": "abc"}
    assert record["refinement"]["similarity"] == FEATURES
    assert record["refinement"]["correlation_weight"] == 1.0


def test_scans_of_no_known_organ_are_refused():
    small = head(size=0.05)
    with pytest.raises(InputError, match="learned features: expected two scans"):
        register(small, small, model=None, refinement=QUICK)
