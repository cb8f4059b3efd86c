"""A whole scan is cut like one that came cut out."""

import gc
import warnings
import weakref

import numpy as np
import pytest

from support.stripped_heads import GRID, brain, error_mm, head, true_transform
from voltween.errors import AssumptionWarning, InputError
from voltween.refinement import FAST_ALONE
from voltween.registration import Guidance, Side, register, shown_alike
from voltween.registration.alike import cut_alike
from voltween.spatial import Affine, Image, LabelMap

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
    alike = cut_alike(*pair, Guidance(), never)
    assert (alike.fixed, alike.moving, alike.cut) == (*pair, None)


@pytest.mark.parametrize("side", ["fixed", "moving"])
def test_masks_say_what_to_compare(side):
    guidance = Guidance(**{side: Side(mask=whole())})
    assert cut_alike(*PAIRS["fixed"], guidance, never).cut is None


def test_a_pair_is_cut_once_and_again_from_another_start():
    calls = []

    def find(fixed, moving, guidance):
        calls.append(guidance.initial)
        raise InputError(
            about="pair", expected="one that can be registered", got="none"
        )

    pair, start = PAIRS["fixed"], Affine.identity()
    fixed, moving = Image(pair[0].data, GRID), Image(pair[1].data, GRID)
    for guidance in (Guidance(), Guidance(), Guidance(initial=start)):
        assert cut_alike(fixed, moving, guidance, find).cut is None
    assert calls == [None, start]


def test_nothing_is_kept_of_pairs_that_are_gone():
    fixed, moving = head(), brain(BACK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is said before the registration
        assert shown_alike(fixed, moving, Guidance()).cut == "fixed"
    gone = [weakref.ref(fixed), weakref.ref(moving)]
    del fixed, moving
    gc.collect()
    assert [each() for each in gone] == [None, None]
