"""Labels of several files, numbered by the names that the files state."""

import numpy as np
import pytest

from voltween import io
from voltween.spatial import Grid, LabelMap


def numbers(*names):
    """The new number of every label, by its name, file for file."""
    return [{n.name: n.number for n in of_file} for of_file in io.number_alike(names)]


def test_the_first_file_keeps_its_numbers_and_others_follow_its_names():
    first, second, third = numbers(
        {5: "Liver", 2: "Lung"},
        {1: "Heart", 2: "LIVER", 3: "lung"},
        {1: "Kidney", 9: "heart"},
    )
    assert first == {"Liver": 5, "Lung": 2}
    assert second == {"Heart": 6, "LIVER": 5, "lung": 2}
    assert third == {"Kidney": 7, "heart": 6}


def test_files_without_names_take_no_part():
    assert io.number_alike([{}, {4: "Liver"}, {}]) == [(), ((4, 4, "Liver"),), ()]


def test_structures_of_one_name_in_one_file_stay_apart():
    twice = {1: "Node", 2: "Lung", 3: "node"}
    for names, expected in ((twice, [1, 2, 3]), ({1: "Lung", 7: "Node"}, [2, 1])):
        *_, last = io.number_alike([twice, names])
        assert [label.number for label in last] == expected


@pytest.mark.parametrize("named", [(), ((1, 1, "a"), (2, 2, "b"))])
def test_labels_whose_numbers_stay_are_the_same_object(named):
    labels = LabelMap(np.ones((2, 2, 2), np.uint8), Grid((2, 2, 2), np.eye(4)))
    assert io.renumber(labels, tuple(io.NamedLabel(*n) for n in named)) is labels


def test_exchanged_numbers_exchange_the_voxels():
    data = np.arange(8, dtype=np.uint8).reshape(2, 2, 2) % 3
    labels = LabelMap(data, Grid((2, 2, 2), np.eye(4)))
    _, named = io.number_alike([{1: "a", 2: "b"}, {1: "b", 2: "a"}])
    changed = io.renumber(labels, named)
    np.testing.assert_array_equal(changed.data, np.array([0, 2, 1])[data])
    assert changed.grid is labels.grid


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_largest_label_of_its_type_is_renumbered(kind):
    largest = int(np.iinfo(kind).max)
    data = np.array([0, 1, largest, largest, 1, 0, 0, 1], kind).reshape(2, 2, 2)
    labels = LabelMap(data, Grid((2, 2, 2), np.eye(4)))
    _, named = io.number_alike([{largest: "a"}, {1: "a", largest: "b"}])
    changed = io.renumber(labels, named)
    expected = {0: 0, 1: largest, largest: largest + 1}  # beyond the type
    assert changed.data.ravel().tolist() == [expected[n] for n in data.ravel().tolist()]
