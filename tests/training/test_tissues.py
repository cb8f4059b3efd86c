"""Tables of tissues: classes and structures of labels, per cohort or for all."""

import numpy as np
import pytest

from voltween.errors import InputError
from voltween.training.tissues import read_tissues

TABLE = """cohort,label,tissue_class,evaluation_label
,2,7,20
,3,7,0
other,2,8,5
"""


@pytest.fixture(name="path")
def path_fixture(tmp_path):
    path = tmp_path / "tissues.csv"
    path.write_text(TABLE)
    return path


def test_without_a_table_every_label_is_a_tissue_and_a_structure():
    labels = np.array([0, 4, 900])
    classes, structures = read_tissues(None).of("any", labels)
    np.testing.assert_array_equal(classes, labels)
    np.testing.assert_array_equal(structures, labels)


def test_rows_of_a_cohort_come_before_those_of_all(path):
    classes, structures = read_tissues(path).of("", np.array([0, 2, 3]))
    assert (classes.tolist(), structures.tolist()) == ([0, 7, 7], [0, 20, 0])
    classes, structures = read_tissues(path).of("other", np.array([2, 3]))
    assert (classes.tolist(), structures.tolist()) == ([8, 7], [5, 0])


def test_labels_that_the_table_lacks_are_named(path):
    with pytest.raises(InputError, match=r"of cohort other, got none for 11, 12$"):
        read_tissues(path).of("other", np.array([0, 2, 11, 12]))
    many = np.arange(100, 130)
    with pytest.raises(InputError, match=r"108, 109 and 20 more$"):
        read_tissues(path).of("", many)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (",2,7,20", r"row 4: expected every label once, got label 2 again"),
        (",9,gray,20", r"row 4: expected whole numbers .* got '9', 'gray', '20'"),
        (",9", r"row 4: expected whole numbers .* got '9', '', ''"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused(path, row, error):
    path.write_text(TABLE + row + "\n")
    with pytest.raises(InputError, match=error):
        read_tissues(path)


def test_a_table_of_other_columns_is_refused(path):
    path.write_text("label,tissue_class\n1,1\n")
    with pytest.raises(InputError, match="evaluation_label"):
        read_tissues(path)
    with pytest.raises(InputError, match="nowhere"):
        read_tissues(path.with_name("nowhere.csv"))
