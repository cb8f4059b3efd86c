"""Options of a template: what its first, affine registrations take of them."""

import pytest

from voltween.batches import RefinementOptions, check_registration
from voltween.templates import TemplateOptions


@pytest.mark.parametrize(
    ("wanted", "compared"),
    [
        ({"similarity": "features", "image_weight": 0.5}, "local correlation"),
        ({"similarity": "features", "beside_features": "MIND-SSC"}, "MIND-SSC"),
        ({"similarity": "MIND-SSC"}, "MIND-SSC"),
        ({"regularity": 4.0}, "local correlation"),
        ({"symmetric": True}, "local correlation"),
    ],
)
def test_the_start_leaves_options_of_displacements_out(wanted, compared):
    options = TemplateOptions(model="brain", refinement=RefinementOptions(**wanted))
    check_registration(options.registration)
    first = options.first_registration
    check_registration(first)
    settings = first.refinement.choice(model_name="brain", has_guidance=False)
    assert settings.transform == "affine"
    assert settings.similarity == compared
