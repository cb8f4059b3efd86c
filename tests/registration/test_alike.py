"""A whole scan is cut like one that came cut out."""

import warnings

import numpy as np
import pytest

from support.stripped_heads import GRID, brain, error_mm, head, true_transform
from voltween.errors import AssumptionWarning, InputError
from voltween.refinement import FAST_ALONE
from voltween.registration import (
    Guidance,
    SettledModel,
    Side,
    register,
    shown_alike,
)
from voltween.registration.alike import cut_alike
from voltween.spatial import Affine, LabelMap

BACK = true_transform().inverse()
PAIRS = {
    "moving": (brain(), head(BACK)),  # the side that has to be cut
    "fixed": (head(), brain(BACK)),
}


def never(*pair):
    raise AssertionError("registered")


@pytest.mark.parametrize("side", PAIRS)
def test_a_brain_and_a_head_register_as_two_brains_do(side):
    both = register(brain(), brain(BACK), model=None, refinement=FAST_ALONE)
    assert both.cut is None
    with pytest.warns(AssumptionWarning, match=f"the {side} scan shows far more"):
        result = register(*PAIRS[side], model=None, refinement=FAST_ALONE)
    assert result.cut == side
    assert "cutting" in result.seconds
    assert result.verdict.grade == "good"
    found_mm = error_mm(result.fixed_to_moving)
    assert found_mm < error_mm(both.fixed_to_moving) + 0.3 * GRID.spacing_mm[0]
    # Whole scans in, whole scans out.
    assert (result.fixed, result.moving) == PAIRS[side]
    masked = Guidance(fixed=Side(mask=whole()))
    without = register(*PAIRS[side], refinement=FAST_ALONE, model=None, guidance=masked)
    assert without.cut is None
    assert error_mm(without.fixed_to_moving) > 1.5 * found_mm


def whole():
    return LabelMap(np.ones(GRID.shape, np.uint8), GRID)


@pytest.mark.parametrize("side", PAIRS)
def test_what_is_left_of_the_whole_scan_is_the_brain(side):
    alike = shown_alike(*PAIRS[side], Guidance())
    left = (alike.moving if side == "moving" else alike.fixed).data
    true = (brain(BACK) if side == "moving" else brain()).data > 0
    shown = left > left.min()
    assert 2 * (shown & true).sum() / (shown.sum() + true.sum()) > 0.9


@pytest.mark.parametrize(
    "pair", [(brain(), brain(BACK)), (head(), head(BACK))], ids=["brains", "heads"]
)
def test_scans_that_show_the_same_are_left_alone(pair):
    alike = cut_alike(*pair, Guidance(), [never])
    assert (alike.fixed, alike.moving, alike.cut) == (*pair, None)


@pytest.mark.parametrize("side", ["fixed", "moving"])
def test_masks_say_what_to_compare(side):
    guidance = Guidance(**{side: Side(mask=whole())})
    assert cut_alike(*PAIRS["fixed"], guidance, [never]).cut is None


def test_a_pair_that_cannot_be_registered_is_left_as_it_is():
    def find(*_):
        raise InputError(
            about="pair", expected="one that can be registered", got="none"
        )

    pair = PAIRS["fixed"]
    alike = cut_alike(*pair, Guidance(), [find])
    assert (alike.fixed, alike.moving, alike.cut) == (*pair, None)
    settled = SettledModel(None, "for the test", alike)
    with pytest.warns(AssumptionWarning, match="was not found in the other"):
        register(*pair, model=settled, refinement=FAST_ALONE)
    found = register(brain(), brain(BACK), model=None, refinement=FAST_ALONE)
    calls = []
    ways = [find, lambda *_: calls.append("second") or found, never]
    assert cut_alike(*pair, Guidance(), ways).cut == "fixed"
    assert calls == ["second"]


def test_the_search_begins_from_the_initial_transform():
    starts = []

    def find(fixed, moving, guidance):
        starts.append(guidance.initial)
        raise InputError(
            about="pair", expected="one that can be registered", got="none"
        )

    start = Affine.identity()
    cut_alike(*PAIRS["fixed"], Guidance(initial=start), [find])
    assert starts == [start]


def test_a_pair_is_not_cut_again_where_its_model_was_settled(monkeypatch):
    pair = PAIRS["fixed"]
    alike = shown_alike(*pair, Guidance(), model=None)
    monkeypatch.setattr("voltween.registration.pipeline.cut_alike", never)
    settled = SettledModel(None, "for the test", alike)
    with pytest.warns(AssumptionWarning):
        result = register(*pair, model=settled, refinement=FAST_ALONE)
    assert result.cut == "fixed"
    assert result.seconds["cutting"] == alike.seconds


def test_nothing_is_said_before_the_registration():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shown_alike(*PAIRS["fixed"], Guidance(), model=None).cut == "fixed"
