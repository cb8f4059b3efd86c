"""Names of models with their refinements."""

import pytest

from voltween.refinement import ACCURATE, FAST, FAST_ALONE, split_name


@pytest.mark.parametrize(
    ("name", "model", "refinement"),
    [
        ("brain", "brain", None),
        ("brain+fast", "brain", FAST),
        ("run/best.safetensors+accurate", "run/best.safetensors", ACCURATE),
        ("a+b.safetensors", "a+b.safetensors", None),
        ("a+fast/b.safetensors+fast", "a+fast/b.safetensors", FAST),
        ("+fast", "", FAST),
        ("none+fast", "none", FAST_ALONE),
    ],
)
def test_only_an_effort_after_the_last_plus_is_one(name, model, refinement):
    assert split_name(name) == (model, refinement)
