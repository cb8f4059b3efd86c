"""Digests name content: the same ones as other tools have, and never two of one."""

import hashlib

import numpy as np
import pytest

from voltween.storage import (
    array_digest,
    content_digest,
    facts_digest,
    files_of,
    text_digest,
)


def test_the_digest_of_a_file_is_that_of_other_tools(tmp_path):
    (tmp_path / "scan").write_text("voxels")
    expected = hashlib.sha256(b"voxels").hexdigest()
    assert content_digest(tmp_path / "scan") == text_digest("voxels") == expected


def test_the_digest_of_a_folder_is_that_of_its_files_in_order(tmp_path):
    for name in ("2", "10", "1"):
        (tmp_path / name).write_text(name)
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "moved").write_text("no part of the series")
    assert [file.name for file in files_of(tmp_path)] == ["1", "10", "2", "moved"]
    assert content_digest(tmp_path) == hashlib.sha256(b"1102").hexdigest()


def test_facts_count_and_not_the_order_of_their_names():
    assert facts_digest({"a": 1, "b": [2]}) == facts_digest({"b": [2], "a": 1})
    different = [{"a": 1}, {"a": "1"}, {"b": 1}, {"a": [1]}, ["a", 1], ["a1"]]
    assert len({facts_digest(facts) for facts in different}) == len(different)


@pytest.mark.parametrize(
    "other",
    [
        np.full((2, 3), 1e-7, np.float32),
        np.zeros((3, 2), np.float32),
        np.zeros((2, 3), np.int32),
        np.zeros((2, 3, 1), np.float32),
    ],
)
def test_numbers_shape_and_type_of_an_array_count(other):
    assert array_digest(np.zeros((2, 3), np.float32)) != array_digest(other)


def test_the_order_in_memory_does_not_count():
    array = np.arange(24.0).reshape(2, 3, 4)
    assert array_digest(array) == array_digest(np.asfortranarray(array))
