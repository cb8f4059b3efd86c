"""What a registration is settled on if little is said about it."""

from dataclasses import replace

import pytest

from support.scans import tiny_model
from voltween.refinement import ACCURATE
from voltween.registration.guidance import Guidance
from voltween.registration.settling import (
    AUTO,
    SettledModel,
    settle_refinement,
)

NMI = "normalized mutual information"


@pytest.mark.parametrize(
    ("name", "similarity", "weight"),
    [("brain", "local correlation", 2.0), ("brain-any", NMI, 1.0)],
)
def test_the_model_decides_what_is_compared(name, similarity, weight):
    settled = SettledModel(replace(tiny_model(), name=name), "")
    refinement = settle_refinement(AUTO, settled, Guidance())
    assert refinement == replace(
        ACCURATE,
        similarity=similarity,
        beside_features=similarity,
        image_weight=weight,
    )


@pytest.mark.parametrize("wanted", ["fast", "accurate", "rigid"])
def test_what_a_refinement_by_name_compares_is_up_to_the_model(wanted):
    settled = SettledModel(replace(tiny_model(), name="brain-any"), "")
    assert settle_refinement(wanted, settled, Guidance()).similarity == NMI


def test_settings_that_are_given_are_not_changed():
    settled = SettledModel(replace(tiny_model(), name="brain-any"), "")
    assert settle_refinement(ACCURATE, settled, Guidance()) is ACCURATE
