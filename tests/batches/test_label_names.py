"""Labels of two scans by the names that their files state."""

import numpy as np

from support.dicom import AXIAL, write_stack, write_structure_set
from voltween import io
from voltween.batches.label_names import names_of_pair, number_by_names

SQUARE = np.array([(0, 0), (0, 3), (3, 3), (3, 0)])


def structure_set(folder, places):
    """A scan with a structure set: a square at (i, j) of slice 1 for every name."""
    write_stack(folder, (20, 18, 3), AXIAL, (0.0, 0.0, 0.0), PixelSpacing=[1, 1])
    structures = {
        name: [np.column_stack([SQUARE + place, np.full(4, 2.5)])]
        for name, place in places.items()
    }
    return write_structure_set(folder / "set.dcm", structures)


def test_structures_of_one_name_get_one_number(tmp_path):
    fixed = structure_set(tmp_path / "a", {"Liver": (1, 1), "Lung": (8, 1)})
    places = {"Heart": (1, 1), "lung": (8, 1), "Liver": (14, 1)}
    moving = structure_set(tmp_path / "b", places)
    labels = number_by_names(io.read_labels(moving), fixed, moving)
    at = {name: labels.data[i + 1, j + 1, 1] for name, (i, j) in places.items()}
    assert at == {"Liver": 1, "lung": 2, "Heart": 3}
    assert labels.data[5, 5, 1] == 0
    assert names_of_pair(fixed, moving) == {1: "Liver", 2: "Lung", 3: "Heart"}


def test_numbers_stay_where_a_file_states_no_names(tmp_path):
    moving = structure_set(tmp_path / "b", {"Heart": (1, 1), "Lung": (8, 1)})
    plain = io.write(io.read_labels(moving), tmp_path / "plain.nii.gz")
    for fixed in (plain, None):
        labels = number_by_names(io.read_labels(moving), fixed, moving)
        np.testing.assert_array_equal(labels.data, io.read_labels(moving).data)
    assert names_of_pair(plain, moving) == {1: "Heart", 2: "Lung"}
