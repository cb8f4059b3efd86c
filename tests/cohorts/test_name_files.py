"""Names of structures, as a user lists them."""

import pytest

from voltween.cohorts import read_structures
from voltween.errors import InputError


def test_structures_are_named_by_label(tmp_path):
    path = tmp_path / "structures.csv"
    path.write_text("label,name\n1,brainstem\n20, left eye\n")
    assert read_structures(path) == {1: "brainstem", 20: "left eye"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number,name\n1,a\n", "columns label and name"),
        ("label,name\none,a\n", "whole numbers in the column label"),
        ("label,name\n1,a\n1,b\n", "every label listed once, got 2 rows of 1"),
        ("label,name\n", "every label listed once, got 0 rows"),
    ],
)
def test_other_tables_are_refused(text, message, tmp_path):
    path = tmp_path / "structures.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_structures(path)
