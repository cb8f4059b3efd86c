"""The page of a table: columns, ratios, notes."""

import pytest

from voltween.evaluation.paper.table_file import PaperTable, TableRow
from voltween.evaluation.paper.table_page import MeasuredTable, table_page
from voltween.evaluation.scores import PairScore, Scores

ROWS = (
    TableRow("ANTs", method="ants", paper={"iou": 0.8124, "cpu_seconds": 748.0}),
    TableRow(
        "VTN",
        network="ADDD",
        paper={"iou": 0.8868, "cpu_seconds": 26.0, "gpu_seconds": 0.13},
    ),
    TableRow("lost", network="D"),
    TableRow("nothing", method="identity"),
)


def score(method, moving="b", **values):
    return PairScore(method=method, fixed="a", moving=moving, **values)


SCORES = Scores(
    (
        score("ants", iou=0.5, dice=0.6, iou_union=0.9, processor_seconds=100.0),
        score("ants", "c", iou=0.7, dice=0.8, iou_union=0.7, processor_seconds=300.0),
        score("ADDD", iou=0.8, dice=0.9, iou_union=0.8, processor_seconds=0.25),
        score("D", status="unavailable", note="no | scans"),
        score("identity", iou=0.1, dice=0.2, iou_union=0.1, processor_seconds=0.001),
        score("ADDD, GPU", iou=0.8, seconds=0.02),
    ),
    (),
    (),
)


def cells(page):
    lines = [line for line in page.splitlines() if line.startswith("|")]
    rows = [
        [cell.strip() for cell in line.replace("\\|", "/").split("|")[1:-1]]
        for line in lines
    ]
    headings, _, *rest = rows
    assert all(len(row) == len(headings) for row in rest)
    return headings, {row[0]: row for row in rest}


def test_measured_numbers_stand_beside_the_published_ones():
    measured = MeasuredTable(PaperTable("t", "Title", ROWS, True), SCORES, "test")
    headings, rows = cells(table_page(measured))
    assert headings == [
        "method",
        "IoU (95 % interval)",
        "IoU of union",
        "Dice",
        "s, CPU",
        "s, GPU",
        "times as fast as ANTs",
        "paper: IoU",
        "paper: landmarks, voxels",
        "paper: s, GPU",
        "paper: s, CPU",
        "paper: times as fast as ANTs (GPU)",
    ]
    assert rows["ANTs"][1].startswith("0.600")
    assert rows["ANTs"][2:7] == ["0.800", "0.700", "200", "", ""]
    assert rows["VTN"][2:7] == ["0.800", "0.900", "0.25", "0.02", "800"]
    assert rows["VTN"][7:] == ["0.8868", "", "0.13", "26", "28.8 (5754)"]
    assert rows["nothing"][6] == ""  # as fast as nothing
    assert rows["lost"][1] == "unavailable: no / scans"


def test_the_union_is_shown_where_the_table_asks_for_it():
    measured = MeasuredTable(PaperTable("t", "Title", ROWS), SCORES, "test")
    assert "IoU of union" not in cells(table_page(measured))[0]


@pytest.mark.parametrize(("split", "is_said"), [("test", False), ("val", True)])
def test_cases_that_chose_the_models_are_named(split, is_said):
    page = table_page(MeasuredTable(PaperTable("t", "Title", ROWS), SCORES, split))
    assert f"`{split}` cases" in page
    assert ("chose the checkpoints" in page) == is_said
