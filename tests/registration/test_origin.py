"""The origin of a result: inputs by content, command, names, warnings."""

import hashlib
import warnings
from datetime import UTC, datetime

import pytest

from voltween.registration import Origin, recording_warnings


def test_inputs_are_named_as_given_with_the_digest_of_their_content(tmp_path):
    scan, folder = tmp_path / "scan.nii", tmp_path / "dicom"
    scan.write_text("voxels")
    folder.mkdir()
    for name in "21":
        (folder / name).write_text(name)
    origin = Origin({"fixed": [scan], "moving": [folder]}, command=("a", "b c"))
    facts = origin.facts()
    assert facts["inputs"] == {
        "fixed": [{"path": str(scan), "sha256": digest(b"voxels")}],
        "moving": [{"path": str(folder), "sha256": digest(b"12")}],
    }
    assert facts["command"] == "a 'b c'"
    age = datetime.now(UTC) - datetime.fromisoformat(facts["date"])
    assert -1 < age.total_seconds() < 60
    assert Origin().facts()["command"] is None


def digest(content):
    return hashlib.sha256(content).hexdigest()


def test_structures_have_their_names_and_labels_where_these_are_needed():
    origin = Origin(structures={1: "brainstem", 2: "eye", 3: "eye"})
    names = [origin.structure_name(label) for label in (1, 2, 3, 4)]
    assert names == ["brainstem", "eye 2", "eye 3", "4"]


def test_warnings_are_recorded_and_still_shown():
    with (
        pytest.warns(UserWarning, match="look") as shown,
        recording_warnings() as texts,
    ):
        warnings.warn("look here", UserWarning, stacklevel=1)
    assert texts == ["look here"] == [str(warning.message) for warning in shown]
