"""Division of the cases of a cohort into train, val and test, by subject."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

from voltween.cohorts.manifest_row import SPLITS, Case
from voltween.errors import InputError
from voltween.storage import text_digest

_FEWEST = 2  # cases of a split, to form a pair
_NAMES_SHOWN = 5  # in one line


def split_cases(
    cases: Sequence[Case],
    *,
    val_share: float,
    test_share: float,
    seed: int,
    test_from: Literal["val", "test"] | None = None,
) -> tuple[Case, ...]:
    """The same cases in the same order, with new splits.

    Shares are of the subjects, and all scans of one subject get the same split. The
    draw depends on the seed and on the names of the subjects alone: neither the order
    of the cases nor the share for `val` changes which subjects become `test`.

    Args:
        cases: The cases of a manifest.
        val_share: Share of the subjects to draw for `val`; with `test_from`, of those
            that are not in the test set.
        test_share: Share of the subjects to draw for `test`; 0 with `test_from`.
        seed: Seed of the draw.
        test_from: Split whose cases become the test set as they are; `val` is then
            drawn from the others. If not given, all cases are drawn anew.

    Raises:
        InputError: If the shares cannot be, the test set cannot be taken from the
            split, or fewer than two cases would be in `train` or in a split with a
            share.
    """
    _check_shares(val_share, test_share)
    persons = {case.person for case in cases}
    if test_from is None:
        _check_test_is_drawn(cases, test_share)
        drawn = _draw_order(persons, seed)
        test = set(drawn[: round(test_share * len(drawn))])
    else:
        _check_test_set(cases, test_from, test_share)
        test = {case.person for case in cases if case.split == test_from}
    rest = _draw_order(persons - test, seed)
    pool = len(persons) if test_from is None else len(rest)
    val = set(rest[: round(val_share * pool)])
    divided = tuple(replace(case, split=_split(case, val, test)) for case in cases)
    _check_sizes(divided, has_val=val_share > 0, has_test=bool(test_from or test_share))
    return divided


def _draw_order(persons: Collection[str], seed: int) -> list[str]:
    """The persons in the order in which they are drawn."""
    return sorted(persons, key=lambda name: text_digest(f"{seed} {name}"))


def _split(case: Case, val: Collection[str], test: Collection[str]) -> str:
    if case.person in test:
        return "test"
    return "val" if case.person in val else "train"


def _check_shares(val_share: float, test_share: float) -> None:
    for name, share in (("val", val_share), ("test", test_share)):
        if not 0 <= share < 1:
            raise InputError(
                about=f"share of {name}",
                expected="a number from 0 to below 1",
                got=share,
            )
    if val_share + test_share >= 1:
        raise InputError(
            about="shares of val and test",
            expected="a sum below 1, so that some subjects are left for train",
            got=f"{val_share} + {test_share}",
        )


def _check_test_is_drawn(cases: Sequence[Case], test_share: float) -> None:
    """Checks that a test set does not end up in `train` unnoticed."""
    if not test_share and any(case.split == "test" for case in cases):
        raise InputError(
            about="share of test",
            expected="a share above 0, because the manifest has test cases",
            got=test_share,
            advice="give --test-from test to keep them, or --test to draw others",
        )


def _check_test_set(cases: Sequence[Case], test_from: str, test_share: float) -> None:
    """Checks that the cases of a split can become the test set."""
    if test_share:
        raise InputError(
            about="test set",
            expected="--test or --test-from",
            got="both",
            advice="leave one of them out",
        )
    if test_from != "test" and any(case.split == "test" for case in cases):
        raise InputError(
            about=f"--test-from {test_from}",
            expected="a manifest without test cases",
            got="one with test cases",
            advice="give --test-from test to keep them",
        )
    test = {case.person for case in cases if case.split == test_from}
    both = sorted(test & {case.person for case in cases if case.split != test_from})
    if both:
        more = f" and {len(both) - _NAMES_SHOWN} more" * (len(both) > _NAMES_SHOWN)
        raise InputError(
            about=f"--test-from {test_from}",
            expected=f"subjects that have cases in {test_from} only",
            got=f"{', '.join(both[:_NAMES_SHOWN])}{more} in other splits, too",
            advice="move all cases of these subjects to one split, or draw all splits "
            "anew with --test",
        )


def _check_sizes(cases: Sequence[Case], *, has_val: bool, has_test: bool) -> None:
    """Checks that every split that was asked for has enough cases."""
    asked = {"train": True, "val": has_val, "test": has_test}
    counts = {name: sum(case.split == name for case in cases) for name in SPLITS}
    if small := [name for name in SPLITS if asked[name] and counts[name] < _FEWEST]:
        persons = len({case.person for case in cases})
        raise InputError(
            about=f"split {small[0]!r}",
            expected=f"at least {_FEWEST} cases, to form pairs",
            got=f"{counts[small[0]]} (of {len(cases)} cases of {persons} subjects)",
            advice="give "
            + ("smaller shares" if small[0] == "train" else "a larger share")
            + ", or a manifest of more subjects",
        )
