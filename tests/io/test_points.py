"""Points files: CSV and Slicer's, in either frame."""

import json
from pathlib import Path

import numpy as np
import pytest

from voltween import io
from voltween.errors import InputError
from voltween.spatial import Points

POINTS = Points(
    np.array([[1.5, -2.25, 3.0], [40.0, 5.0, -6.125]]), ('left, "upper"', "right")
)


@pytest.mark.parametrize("name", ["p.csv", "p.fcsv", "p.mrk.json"])
def test_points_come_back(name, tmp_path):
    back = io.read_points(io.write(POINTS, tmp_path / name))
    np.testing.assert_array_equal(back.mm, POINTS.mm)
    assert back.names == POINTS.names


def test_points_in_lps_are_turned_into_ras(tmp_path):
    lps = "x,y,z\n1,2,3\n"
    (tmp_path / "plain.csv").write_text(lps)
    (tmp_path / "said.csv").write_text("x,y,z,frame\n1,2,3,LPS\n")
    (tmp_path / "slicer.fcsv").write_text(
        "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n"
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
        "1,1,2,3,0,0,0,1,1,1,0,F-1,,\n"
    )
    markups = {
        "coordinateSystem": "LPS",
        "controlPoints": [{"label": "a", "position": [1, 2, 3]}],
    }
    (tmp_path / "slicer.mrk.json").write_text(json.dumps({"markups": [markups]}))
    assert io.read_points(tmp_path / "plain.csv").mm.tolist() == [[1, 2, 3]]
    assert io.read_points(tmp_path / "plain.csv", "LPS").mm.tolist() == [[-1, -2, 3]]
    for name in ("said.csv", "slicer.fcsv", "slicer.mrk.json"):
        assert io.read_points(tmp_path / name).mm.tolist() == [[-1, -2, 3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "columns x,y,z"),
        ("no points at all", "columns x,y,z"),
        ("", "columns x,y,z"),
        ("x,y,z\n1,2,3,4\n", "columns x,y,z"),
        ("x,y,z,frame\n1,2,3\n", "columns x,y,z"),
        ("x,y,z\n1,two,3\n", "finite numbers as positions, got 'two'"),
        ("x,y,z,frame\n1,2,3,IJK\n", "RAS or LPS, got 'IJK'"),
        ("x,y,z,frame\n1,2,3,RAS\n1,2,3,LPS\n", "one frame for all points"),
    ],
)
def test_bad_points_are_refused(text, message, tmp_path):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        io.read_points(tmp_path / "p.csv")


@pytest.mark.parametrize(
    ("name", "is_points"),
    [
        ("a.csv", True),
        ("a.fcsv", True),
        ("a.mrk.json", True),
        ("a.json", True),
        ("a.nii.gz", False),
        ("csv", False),
    ],
)
def test_points_files_are_known_by_their_suffix(name, is_points):
    assert io.is_points_file(Path(name)) == is_points
