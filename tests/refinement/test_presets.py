"""Names of models with their refinements."""

from typing import get_args

import pytest

from voltween.refinement import FAST, FAST_ALONE, NamedRefinement, split_name
from voltween.refinement.settings import RefinementSimilarity


@pytest.mark.parametrize(
    ("name", "model", "refinement"),
    [
        ("brain", "brain", None),
        ("brain+fast", "brain", ("fast", None)),
        ("run/best.safetensors+accurate", "run/best.safetensors", ("accurate", None)),
        ("a+b.safetensors", "a+b.safetensors", None),
        ("a+fast/b.safetensors+fast", "a+fast/b.safetensors", ("fast", None)),
        ("+fast", "", ("fast", None)),
        ("brain+fast+features", "brain", ("fast", "features")),
        ("brain+features", "brain+features", None),
        ("none+fast+MIND-SSC", "none", ("fast", "MIND-SSC")),
        ("a+accurate+local-correlation", "a", ("accurate", "local correlation")),
        ("a+accurate+local correlation", "a+accurate+local correlation", None),
    ],
)
def test_a_name_ends_in_an_effort_and_maybe_a_similarity(name, model, refinement):
    assert split_name(name) == (model, refinement)


def test_every_similarity_can_be_named():
    for similarity in get_args(RefinementSimilarity):
        name = f"none+fast+{similarity.replace(' ', '-')}"
        assert split_name(name) == ("none", ("fast", similarity))


@pytest.mark.parametrize("has_model", [True, False])
def test_a_name_without_a_similarity_compares_the_local_correlation(has_model):
    settings = NamedRefinement("fast").settings(has_model=has_model)
    preset = FAST if has_model else FAST_ALONE
    assert settings == preset
    named = NamedRefinement("fast", "correlation")
    assert named.settings(has_model=has_model).similarity == "correlation"
