"""Which pairs are registered: all, onto an atlas, of a list, drawn."""

import pytest

from voltween.cohorts import atlas_pairs, draw_pairs, ordered_pairs, read_pairs
from voltween.errors import InputError


def test_all_ordered_pairs_or_a_fixed_draw_of_them():
    assert ordered_pairs("abc") == [
        tuple(p) for p in ("ab", "ac", "ba", "bc", "ca", "cb")
    ]
    assert draw_pairs(ordered_pairs("abc"), 0) == ordered_pairs("abc")
    drawn = draw_pairs(ordered_pairs("abcdef"), 7)
    assert len(set(drawn)) == 7
    assert draw_pairs(ordered_pairs("abcdef"), 7) == drawn


def test_all_onto_an_atlas():
    assert atlas_pairs(["a", "b", "c"], "b") == [("b", "a"), ("b", "c")]
    with pytest.raises(InputError, match="atlas: expected one of a, b, got 'c'"):
        atlas_pairs(["a", "b"], "c")


def test_pairs_of_a_list(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("moving,fixed\nb,a\nc,a\n")
    assert read_pairs(path) == [("a", "b"), ("a", "c")]
    for text, message in (
        ("from,to\na,b\n", "columns fixed"),
        ("fixed,moving\n", "expected a list of pairs, got no pairs"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_pairs(path)
