"""Points files: CSV and Slicer's, in either frame."""

import json
from pathlib import Path

import numpy as np
import pytest

from voltween import io
from voltween.errors import AssumptionWarning, InputError, SuspiciousInputWarning
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
        ("x,y,z\n1_0,2,3\n", "finite numbers as positions, got '1_0'"),
        ("x,y,z\n1,2,1e999\n", "finite numbers as positions"),
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
        ("A.CSV", True),
        ("a.nii.gz", False),
        ("csv", False),
    ],
)
def test_points_files_are_known_by_their_suffix(name, is_points):
    assert io.is_points_file(Path(name)) == is_points


FCSV = (
    "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n"
    "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
    "1,10,20,30,0,0,0,1,1,1,0,F-1,,\n"
)


def markups(*lists, **fields):
    content = [{"coordinateSystem": "RAS", "controlPoints": p, **fields} for p in lists]
    return json.dumps({"markups": content})


def point(name, position, status="defined"):
    return {"label": name, "position": position, "positionStatus": status}


class TestFrames:
    """The frame is stated by the file, or by the argument, or assumed and said."""

    FILES = (
        ("p.csv", "x,y,z,frame\n10,20,30,LPS\n"),
        ("p.fcsv", FCSV),
        ("p.json", markups([point("a", [10, 20, 30])], coordinateSystem="LPS")),
    )

    @pytest.mark.parametrize(("name", "text"), FILES)
    def test_an_argument_that_contradicts_the_file_is_refused(
        self, name, text, tmp_path
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="the file states, LPS, got RAS"):
            io.read_points(tmp_path / name, "RAS")
        agreed = io.read_points(tmp_path / name, "lps")
        assert agreed.mm.tolist() == [[-10, -20, 30]]

    @pytest.mark.parametrize(
        ("text", "mm", "said"),
        [
            ("x,y,z\n10,20,30\n", [10, 20, 30], "taken to be RAS"),
            ("x,y,z,t,label,comment\n10,20,30,0,1,AC\n", [-10, -20, 30], "be LPS"),
        ],
    )
    def test_an_assumed_frame_is_said(self, text, mm, said, tmp_path):
        (tmp_path / "p.csv").write_text(text)
        with pytest.warns(AssumptionWarning, match=said):
            assert io.read_points(tmp_path / "p.csv").mm.tolist() == [mm]
        assert io.read_points(tmp_path / "p.csv", "RAS").mm.tolist() == [[10, 20, 30]]

    def test_markups_without_a_frame_are_refused(self, tmp_path):
        text = markups([point("a", [1, 2, 3])]).replace("coordinateSystem", "other")
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(InputError, match="RAS or LPS, got a file that does not"):
            io.read_points(tmp_path / "p.json")
        assert io.read_points(tmp_path / "p.json", "RAS").mm.tolist() == [[1, 2, 3]]


class TestNames:
    """Names are those of a column `name`, or of ANTs' column `label`."""

    def names(self, text, tmp_path):
        (tmp_path / "p.csv").write_text(text)
        return io.read_points(tmp_path / "p.csv", "LPS").names

    def test_labels_are_names_unless_all_are_one(self, tmp_path):
        assert self.names("x,y,z,t,label\n1,2,3,0,7\n1,2,3,0,8\n", tmp_path) == (
            "7",
            "8",
        )
        assert self.names("x,y,z,t,label\n1,2,3,0,0\n1,2,3,0,0\n", tmp_path) == ()
        assert self.names("x,y,z,label,name\n1,2,3,0,a\n", tmp_path) == ("a",)

    def test_a_column_twice_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="column 'x' twice"):
            self.names("x,y,z,x\n1,2,3,4\n", tmp_path)


class TestSlicer:
    """Points without a position, several lists, and units."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            (
                "p.mrk.json",
                markups([point("AC", [1, 2, 3]), point("PC", "", "undefined")]),
            ),
            (
                "p.mrk.json",
                markups([point("AC", [1, 2, 3]), point("PC", [0, 0, 0], "missing")]),
            ),
            (
                "p.fcsv",
                FCSV.replace("LPS", "RAS").replace("1,10,20,30", "1,1,2,3")
                + "2,0,0,0,0,0,0,1,1,1,0,PC,,,0,0\n",
            ),
        ],
    )
    def test_points_that_are_not_placed_are_left_out_by_name(
        self, name, text, tmp_path
    ):
        (tmp_path / name).write_text(text)
        with pytest.warns(SuspiciousInputWarning, match="PC left out"):
            points = io.read_points(tmp_path / name)
        assert points.mm.tolist() == [[1, 2, 3]]
        assert len(points.names) == 1

    def test_points_without_a_name_have_to_be_placed(self, tmp_path):
        text = markups([point("", [1, 2, 3]), point("", "", "undefined")])
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(InputError, match="a position of every point without a na"):
            io.read_points(tmp_path / "p.json")

    def test_all_lists_are_read(self, tmp_path):
        text = markups([point("AC", [1, 2, 3])], [point("PC", [4, 5, 6])])
        (tmp_path / "p.json").write_text(text)
        points = io.read_points(tmp_path / "p.json")
        assert points.names == ("AC", "PC")
        assert points.mm.tolist() == [[1, 2, 3], [4, 5, 6]]

    @pytest.mark.parametrize(
        ("unit", "factor"), [("mm", 1), ("um", 1e-3), (["cm", "UCUM", "cm"], 10)]
    )
    def test_units_are_honored(self, unit, factor, tmp_path):
        text = markups([point("AC", [1, 2, 4])], coordinateUnits=unit)
        (tmp_path / "p.json").write_text(text)
        mm = io.read_points(tmp_path / "p.json").mm
        np.testing.assert_allclose(mm, [[factor, 2 * factor, 4 * factor]], rtol=1e-15)

    def test_other_units_are_refused(self, tmp_path):
        text = markups([point("AC", [1, 2, 4])], coordinateUnits="furlong")
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(InputError, match="coordinateUnits: expected a unit of len"):
            io.read_points(tmp_path / "p.json")

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100_000,
            '{"markups":' * 5000,
            "[1, 2]",
            "{}",
            '{"markups": []}',
            '{"markups": {"controlPoints": []}}',
            '{"markups": [3]}',
            '{"markups": [{"coordinateSystem": "RAS"}]}',
            '{"markups": [{"coordinateSystem": 3, "controlPoints": []}]}',
            markups([3]),
            markups([{"label": ["a"], "position": [1, 2, 3]}]),
            markups([point("a", "123")]),
            markups([point("a", [1, 2])]),
            markups([point("a", [1, 2, True])]),
            markups([point("a", [1, 2, None])]),
            markups([point("a", [1, 2, 10**400])]),
            markups([point("a", [1, 2, 1e30])]),
            markups([point("a", [1, 2, float("nan")])]),
            markups([point("a", [1, 2, 3])]).replace("3", "9" * 5000),
            markups([point("a", [1, 2, 3])], coordinateSystem="IJK"),
            markups([point("a", [1, 2, 3])], coordinateUnits={"a": 1}),
        ],
    )
    def test_json_of_another_shape_is_refused(self, text, tmp_path):
        (tmp_path / "p.mrk.json").write_text(text)
        with pytest.raises(InputError, match=r"p\.mrk\.json: .*expected") as caught:
            io.read_points(tmp_path / "p.mrk.json")
        assert len(str(caught.value)) < 500

    @pytest.mark.parametrize(
        "content",
        [
            b"\xff\xfe\0\0",
            FCSV.replace("10,20", "ten,20").encode(),
            FCSV.replace("10,20,30,0,0,0,1,1,1,0,F-1,,", "10").encode(),
            FCSV.replace("x,y,z", "a,b,c").encode(),
            FCSV.replace("LPS", "IJK").encode(),
        ],
    )
    def test_other_fcsv_files_are_refused(self, content, tmp_path):
        (tmp_path / "p.fcsv").write_bytes(content)
        with pytest.raises(InputError, match=r"p\.fcsv: "):
            io.read_points(tmp_path / "p.fcsv")
