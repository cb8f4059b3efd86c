"""Tables of the paper as files: their rows, their numbers, and what is refused."""

from pathlib import Path

import pytest

from voltween.errors import InputError
from voltween.evaluation import read_experiment
from voltween.evaluation.paper.settings import ExperimentSettings
from voltween.evaluation.paper.table_file import TABLES, PaperTable, TableRow

PATHS = sorted(TABLES.glob("table_*.toml"))
SHARES = ["table_3_shares", "table_6_shares"]

# The paper's tables II to VII: IoU, landmark distance, seconds with and without GPU.
PAPER = """
table_2 ANTs .8124 11.93 - 748; table_2 elastix .8365 12.36 - 115
table_2 VoxelMorph-2 .6796 18.10 .20 17; table_2 VTN ADDD .8868 12.04 .13 26
table_2 VTN ADDD + inv .8882 11.42 .13 26; table_2 supervised .7680 13.38 .13 26
table_3 LITS .8712 13.11 - -; table_3 LITS + BFH .8868 12.04 - -
table_4 D .8119 14.44 .08 10; table_4 DD .8556 12.97 .10 20
table_4 DDD .8709 12.49 .12 28; table_4 AD .8323 13.20 .09 9
table_4 ADD .8703 12.28 .11 19; table_4 ADDD .8868 12.04 .13 26
table_5 ANTs .9387 2.85 - 764; table_5 elastix .9180 3.23 - 121
table_5 VoxelMorph-2* .9268 2.84 .19 14; table_5 VTN DD* .9305 2.83 .09 19
table_5 VTN ADD .9270 2.62 .10 17; table_5 VTN ADD + inv .9278 2.64 .10 17
table_5 supervised .9060 2.94 .10 19
table_6 ADNI + ABIDE-1 .9299 2.90 - -
table_6 ADNI + ABIDE-1 + ABIDE-2 .9312 2.86 - -
table_6 ADNI + ABIDE-1 + ABIDE-2 + ADHD .9305 2.83 - -
table_7 D* .9241 2.91 .07 10; table_7 DD* .9305 2.83 .09 19
table_7 DDD* .9320 2.85 .10 28; table_7 AD .9214 2.73 .08 9
table_7 ADD .9270 2.62 .10 17; table_7 ADDD .9286 2.63 .11 26
"""
COLUMNS = ("iou", "landmark_distance", "gpu_seconds", "cpu_seconds")


@pytest.mark.parametrize("name", [f"table_{n}" for n in range(2, 8)])
def test_the_papers_numbers_are_printed_as_they_are(name):
    found = read_experiment(Path(name))
    wanted = {}
    for entry in PAPER.replace("\n", ";").split(";"):
        if entry.startswith((f"{name} ", f" {name} ")):
            _, *row, iou, landmark, gpu, cpu = entry.split()
            values = zip(COLUMNS, (iou, landmark, gpu, cpu), strict=True)
            wanted[" ".join(row)] = {k: float(v) for k, v in values if v != "-"}
    rows = {row.name: dict(row.paper) for row in found.rows}
    assert {name: paper for name, paper in rows.items() if paper} == wanted


def test_all_tables_with_all_their_networks_are_there():
    tables = sorted([f"table_{n}" for n in range(2, 8)] + SHARES)
    assert [path.stem for path in PATHS] == tables
    rows = {path.stem: read_experiment(path).rows for path in PATHS}
    cascades = {"D", "DD", "DDD", "AD", "ADD", "ADDD"}
    assert {row.network for row in rows["table_4"]} == cascades
    assert {row.network for row in rows["table_7"]} == cascades
    for row in (*rows["table_5"], *rows["table_6"], *rows["table_7"]):
        is_without_affine = row.network is not None and "A" not in row.network
        assert row.aligned == is_without_affine, row
    for name in SHARES:
        assert [row.train_share for row in rows[name]] == [0.25, 0.5, 1]
    assert [row.train for row in rows["table_3"]] == [("lits",), ()]
    assert [row.train for row in rows["table_6"]] == [
        ("adni", "abide1"),
        ("adni", "abide1", "abide2"),
        (),
    ]
    assert [row.method_name for row in rows["table_2"]] == [
        "identity",
        "ants",
        "elastix",
        "greedy",
        "convexadam",
        "VoxelMorph-2",
        "ADDD",
        "ADDD-invertibility-0.001",
        "ADDD-supervised",
    ]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_table_shows_the_organ(path):
    assert read_experiment(path).iou_union


def test_rows_must_say_one_thing():
    with pytest.raises(InputError, match="either a method or a network"):
        TableRow("x")
    with pytest.raises(InputError, match="either a method or a network"):
        TableRow("x", method="ants", network="ADD")
    with pytest.raises(InputError, match="train_share: expected a number above 0"):
        TableRow("x", network="ADD", train_share=0.0)


@pytest.mark.parametrize(
    "other", [TableRow("a", network="DD"), TableRow("b", network="D")]
)
def test_rows_must_differ(other):
    with pytest.raises(InputError, match="expected rows that differ"):
        PaperTable("table", "Table", (TableRow("a", network="D"), other))


def test_rows_of_different_cohorts_are_different_networks():
    names = {TableRow("x", network="D", train=t).method_name for t in ((), ("lits",))}
    assert names == {"D", "D-on-lits"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 3 4", "expected a table"),
        ('title = "x"', "expected a table"),
        ('tilte = "x"\n[[row]]\nname = "a"\nnetwork = "D"', "tilte: expected one of"),
        (
            'title = "x"\n[settings]\nstepps = 3\n[[row]]\nname = "a"\nnetwork = "D"',
            r"settings.stepps: expected one of the keys split, atlas",
        ),
        (
            'title = "x"\n[[row]]\nname = "a"\nnetwrk = "D"',
            r"row\[1\].netwrk: expected one of the keys name, method",
        ),
        (
            'title = "x"\n[[row]]\nname = "a"\nnetwork = "D"\ntrain_share = "1"',
            r"row\[1\].train_share: expected a number, got '1'",
        ),
    ],
)
def test_other_files_are_refused(text, message, tmp_path):
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_experiment(path)


def test_a_table_may_have_settings_which_options_replace(tmp_path):
    path = tmp_path / "table.toml"
    path.write_text(
        'title = "x"\n[settings]\nsteps = 7\nshape = [32, 32, 48]\nsplit = "val"\n'
        '[[row]]\nname = "a"\nnetwork = "D"\n'
    )
    settings = read_experiment(path).settings
    assert settings.given == {"split": "val", "shape": (32, 32, 48), "steps": 7}
    changed = settings.changed_by(ExperimentSettings(steps=9, channels=4))
    assert changed.given == {
        "split": "val",
        "shape": (32, 32, 48),
        "steps": 9,
        "channels": 4,
    }


def test_installed_tables_are_read_by_their_name():
    by_name = read_experiment(Path("table_4"))
    assert by_name == read_experiment(TABLES / "table_4.toml")
    with pytest.raises(InputError, match=r"table_9: .*table_2, .*table_7.*got neither"):
        read_experiment(Path("table_9"))
