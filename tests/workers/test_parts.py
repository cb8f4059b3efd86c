"""Shares of the tasks, by number or as tasks of a job array."""

from itertools import chain

import pytest

from voltween.errors import InputError
from voltween.workers import Part


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8])
def test_the_parts_are_all_items_once(count):
    parts = [Part(number, 3).of(range(count)) for number in (1, 2, 3)]
    assert sorted(chain(*parts)) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_number_is_given_or_that_of_the_array_task(monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "7")
    assert Part.read("3/40") == Part(3, 40)
    assert Part.read("/40") == Part(7, 40)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/3", "expected a number from 1 to 3, got 0: number the tasks of a job"),
        ("4/3", "expected a number from 1 to 3, got 4"),
        ("3", "expected a share such as 3/40, got '3'"),
        ("a/b", "expected a share such as 3/40"),
        ("/3", "or SLURM_ARRAY_TASK_ID in the environment, got neither"),
    ],
)
def test_other_texts_are_refused(text, message, monkeypatch):
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    with pytest.raises(InputError, match=message):
        Part.read(text)
