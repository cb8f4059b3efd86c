"""Cases whose label files state names: one number for all structures of one name."""

import pickle

import numpy as np

from support.dicom import AXIAL, write_stack, write_structure_set
from voltween import io
from voltween.cohorts import (
    join_manifests,
    load_case,
    read_manifest,
    read_scan,
    write_new_manifest,
)

SQUARE = np.array([(0, 0), (0, 3), (3, 3), (3, 0)])


def write_case(folder, places):
    """A scan and a structure set: a square at (i, j) of slice 1 for every name."""
    one = {"PixelSpacing": [1, 1], "SeriesDescription": folder.name}
    write_stack(folder / "scan", (20, 18, 3), AXIAL, (0.0, 0.0, 0.0), **one)
    structures = {
        name: [np.column_stack([SQUARE + place, np.full(4, 2.5)])]
        for name, place in places.items()
    }
    write_structure_set(folder / "set.dcm", structures)


def write_manifest(folder, labels):
    rows = [f"{name},{name}/scan,{name}/{file},test" for name, file in labels.items()]
    path = folder / "cases.csv"
    path.write_text("\n".join(["case,image,labels,split", *rows]))
    return path


def write_manifest_of_one(folder):
    """A manifest in another folder, of a case with labels that state a name."""
    write_case(folder / "d", {"Skin": (1, 1)})
    return write_manifest(folder, {"d": "set.dcm"})


def test_structures_of_one_name_get_one_number_in_all_cases(tmp_path):
    write_case(tmp_path / "a", {"Liver": (1, 1), "Lung": (8, 1)})
    write_case(tmp_path / "b", {"Heart": (1, 1), "lung": (8, 1), "Liver": (14, 1)})
    write_case(tmp_path / "c", {"Kidney": (1, 1), "HEART": (8, 1)})
    path = write_manifest(tmp_path, dict.fromkeys("abc", "set.dcm"))
    at = [
        {load_case(case)[1].data[i + 1, 2, 1] for i in (1, 8, 14)} - {0}
        for case in read_manifest(path)
    ]
    assert at == [{1, 2}, {3, 2, 1}, {4, 3}]
    _, second, _ = read_manifest(path)
    assert load_case(second)[1].data[15, 2, 1] == 1
    assert read_scan(second).label_names == {3: "Heart", 2: "lung", 1: "Liver"}
    assert second.label_facts["named_labels"][0] == [1, 3, "Heart"]


def test_label_files_are_opened_when_labels_are_needed_and_once(tmp_path, monkeypatch):
    write_case(tmp_path / "a", {"Liver": (1, 1), "Lung": (8, 1)})
    write_case(tmp_path / "b", {"Heart": (1, 1), "lung": (8, 1)})
    path = write_manifest(tmp_path, dict.fromkeys("ab", "set.dcm"))
    opened, structure_names = [], io.structure_names

    def note(file):
        opened.append(file)
        return structure_names(file)

    monkeypatch.setattr(io, "structure_names", note)
    first, second = read_manifest(path)
    write_new_manifest((second, first), tmp_path / "other.csv")
    join_manifests([path, write_manifest_of_one(tmp_path / "c")])
    assert opened == []
    assert [label[1] for label in second.named_labels] == [3, 2]
    assert [label[1] for label in first.named_labels] == [1, 2]
    assert opened == [first.labels, second.labels]


def test_a_case_goes_to_another_process_with_its_own_numbers_alone(
    tmp_path, monkeypatch
):
    write_case(tmp_path / "a", {"Liver": (1, 1), "Lung": (8, 1)})
    write_case(tmp_path / "b", {"Heart": (1, 1), "lung": (8, 1)})
    path = write_manifest(tmp_path, dict.fromkeys("ab", "set.dcm"))
    _, second = read_manifest(path)
    packed = pickle.dumps(second)
    monkeypatch.setattr(io, "structure_names", None)  # nobody may ask again
    sent = pickle.loads(packed)
    assert sent == second
    assert sent.label_facts == second.label_facts
    assert [label[1] for label in sent.named_labels] == [3, 2]
    assert b"Liver" not in packed


def test_files_without_names_and_damaged_ones_keep_their_numbers(tmp_path):
    for name in "abc":
        write_case(tmp_path / name, {"Liver": (1, 1), name: (8, 1)})
    io.write(io.read_labels(tmp_path / "a/set.dcm"), tmp_path / "a/plain.nii.gz")
    content = (tmp_path / "b/set.dcm").read_bytes()
    (tmp_path / "b/set.dcm").write_bytes(content[:200])
    files = {"a": "plain.nii.gz", "b": "set.dcm", "c": "set.dcm"}
    plain, damaged, named = read_manifest(write_manifest(tmp_path, files))
    assert plain.named_labels == damaged.named_labels == ()
    assert plain.label_facts == {}
    assert read_scan(plain).label_names == {}
    assert set(read_scan(plain).labels.labels) == {1, 2}
    assert read_scan(named).label_names == {1: "Liver", 2: "c"}
