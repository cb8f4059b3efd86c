"""Registration by learned features: computed once, in their place, recorded."""

import json
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from support.heads import head
from support.scans import tiny_features, tiny_model
from voltween import models
from voltween.errors import AssumptionWarning, FitWarning, InputError
from voltween.models import FeatureModel
from voltween.models.choice import Choice
from voltween.refinement import FEATURES, AffineLevel, Level, Refinement
from voltween.registration import pipeline, register, settling, write_registration
from voltween.registration.fitting import fit_to_pair
from voltween.registration.guidance import Guidance
from voltween.registration.scan_features import ScanFeatures
from voltween.spatial import Affine, Grid, Image, align_centers

# The features were not trained: what they find is mostly left out.
pytestmark = pytest.mark.filterwarnings("ignore::voltween.errors.RejectionWarning")
QUICK = Refinement(
    (Level(2, 4, 0.5, 2), Level(2, 4, 0.5)),
    affine_levels=(AffineLevel(2, 5, 0.3),),
    similarity=FEATURES,
)


class Counting(FeatureModel):
    """Features that count the scans that were described."""

    runs = 0

    def of(self, scan, template_to_scan):
        Counting.runs += 1
        return super().of(scan, template_to_scan)


@pytest.fixture(name="model")
def model_fixture(monkeypatch):
    """Features that are taken for any scans, with a head as template."""
    template = head(5)
    grid = Grid.centered(
        (16, 16, 16),
        center_mm=template.grid.center_mm,
        spacing_mm=(12.0, 12.0, 12.0),
        directions=np.eye(3),
    )
    values = vars(tiny_features()) | {"template": template, "grid": grid}
    model = Counting(**values)
    Counting.runs = 0
    monkeypatch.setattr(settling, "choose_features", lambda *scans: model)
    monkeypatch.setattr(pipeline, "load_model", lambda name: tiny_model(strength=0.1))
    return model


def described(way=None):
    """Features of a head, with a way to the template."""
    model, scan = tiny_features(), head()
    way = way or align_centers(model.grid, scan.grid)
    return ScanFeatures(model.of(scan, way), way.inverse())


def test_features_lie_where_the_scan_is():
    source = described()
    grid = source.volume.grid
    to_scan = source.scan_to_template.inverse().matrix
    shares = source.on(Grid(grid.shape, to_scan @ grid.affine))[0].numpy()
    np.testing.assert_allclose(shares, source.volume.shares, atol=1e-4)


def test_beyond_the_network_all_is_background():
    source = described()
    affine = head().grid.affine.copy()
    affine[:3, 3] += 5000
    shares = source.on(Grid((4, 4, 4), affine)).numpy()
    assert (shares[:, 0] == 1).all()
    assert (shares[:, 1:] == 0).all()


def test_a_view_has_features_only_where_it_is_given_them():
    view = fit_to_pair(head(), head(1), multiple=2)
    assert view.tensors(Guidance()).fixed.features is None
    tensors = view.with_features(*[described()] * 2).tensors(Guidance())
    assert tensors.moving.features.shape == (1, 3, *tensors.shape)
    assert view.with_features().tensors(Guidance()).fixed.features is None


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
    assert record["refinement"]["image_weight"] == 2.0


def test_scans_without_features_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(models.features, "shipped_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="no features are installed"):
        register(head(), head(1), model=None, refinement=QUICK)


def unlike_any_head():
    grid = head().grid
    return Image(np.random.default_rng(0).uniform(0, 100, grid.shape), grid)


def test_a_scan_that_is_not_found_in_the_template_is_refused(model):
    with pytest.raises(InputError, match="cannot be registered to their template"):
        pipeline._describe("fixed", unlike_any_head(), model)


def test_in_any_contrast_a_scan_unlike_the_template_is_warned_of(model):
    features = replace(model, is_for_any_contrast=True)
    with pytest.warns(FitWarning, match="features of the fixed scan may lie in the"):
        pipeline._describe("fixed", unlike_any_head(), features)


@pytest.mark.parametrize(("similarity", "is_warned"), [(0.3, True), (0.4, False)])
def test_in_any_contrast_a_scan_hardly_like_the_template_is_warned_of(
    model, monkeypatch, recwarn, similarity, is_warned
):
    """Its verdict is doubtful, which nobody sees."""
    placed = SimpleNamespace(
        verdict=SimpleNamespace(
            grade="doubtful", evidence=SimpleNamespace(similarity_seen=similarity)
        ),
        model_name="brain-any",
        fixed_to_moving=Affine.identity(),
    )
    monkeypatch.setattr(pipeline, "_place", lambda scan, features: placed)
    features = replace(model, is_for_any_contrast=True)
    pipeline._describe("fixed", head(), features)
    warned = [w for w in recwarn if issubclass(w.category, FitWarning)]
    assert bool(warned) == is_warned


@pytest.mark.parametrize("is_known", [True, False])
def test_in_any_contrast_a_model_that_knows_the_scan_goes_before(
    model, monkeypatch, is_known
):
    tried = []

    def load(name):
        tried.append(name)
        return tiny_model(strength=0.1)

    monkeypatch.setattr(pipeline, "load_model", load)
    monkeypatch.setattr(pipeline, "choose_model", lambda *_, **__: Choice("known", ""))
    features = replace(model, is_for_any_contrast=True)
    pipeline._place(model.template if is_known else unlike_any_head(), features)
    assert tried == (["known"] if is_known else ["known", "tiny"])


def test_warnings_about_the_template_are_not_told_of_the_pair(model, monkeypatch):
    place = pipeline._place

    def place_and_warn(scan, features):
        warnings.warn("the fixed scan shows far more", AssumptionWarning, stacklevel=2)
        return place(scan, features)

    monkeypatch.setattr(pipeline, "_place", place_and_warn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline._describe("moving", model.template, model)
    assert model.runs == 1
