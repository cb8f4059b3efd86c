"""Tables of the paper: their rows, recipes, and an experiment on a tiny cohort."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.cohorts import write_cohort
from support.packages import hide_packages
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.evaluation import read_experiment, run_experiment
from voltween.evaluation.paper import experiment
from voltween.evaluation.paper.scales import SCALES, recipe_of, share_of
from voltween.evaluation.paper.table_file import TABLES, PaperTable, TableRow
from voltween.models import load_model
from voltween.preprocessing import Preprocessing
from voltween.training import SUPERVISED, VOXELMORPH, Augmentation

PATHS = sorted(TABLES.glob("table_*.toml"))
FITTED = Preprocessing((48, 64, 48), (1.0, 1.0, 1.0))

# The paper's tables II to VII: IoU, landmark distance, seconds with and without GPU.
PAPER = """
table_2 ANTs .8124 11.93 - 748; table_2 elastix .8365 12.36 - 115
table_2 VoxelMorph-2 .6796 18.10 .20 17; table_2 VTN ADDD .8868 12.04 .13 26
table_2 VTN ADDD + inv .8882 11.42 .13 26; table_2 supervised .7680 13.38 .13 26
table_3 half .8712 13.11 - -; table_3 all .8868 12.04 - -
table_4 D .8119 14.44 .08 10; table_4 DD .8556 12.97 .10 20
table_4 DDD .8709 12.49 .12 28; table_4 AD .8323 13.20 .09 9
table_4 ADD .8703 12.28 .11 19; table_4 ADDD .8868 12.04 .13 26
table_5 ANTs .9387 2.85 - 764; table_5 elastix .9180 3.23 - 121
table_5 VoxelMorph-2* .9268 2.84 .19 14; table_5 VTN DD* .9305 2.83 .09 19
table_5 VTN ADD .9270 2.62 .10 17; table_5 VTN ADD + inv .9278 2.64 .10 17
table_5 supervised .9060 2.94 .10 19
table_6 a quarter .9299 2.90 - -; table_6 half .9312 2.86 - -
table_6 all .9305 2.83 - -
table_7 D* .9241 2.91 .07 10; table_7 DD* .9305 2.83 .09 19
table_7 DDD* .9320 2.85 .10 28; table_7 AD .9214 2.73 .08 9
table_7 ADD .9270 2.62 .10 17; table_7 ADDD .9286 2.63 .11 26
"""
COLUMNS = ("iou", "landmark_distance", "gpu_seconds", "cpu_seconds")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_papers_numbers_are_printed_as_they_are(path):
    found = read_experiment(path)
    wanted = {}
    for entry in PAPER.replace("\n", ";").split(";"):
        if entry.startswith((f"{path.stem} ", f" {path.stem} ")):
            _, *name, iou, landmark, gpu, cpu = entry.split()
            values = zip(COLUMNS, (iou, landmark, gpu, cpu), strict=True)
            wanted[" ".join(name)] = {k: float(v) for k, v in values if v != "-"}
    rows = {row.name: dict(row.paper) for row in found.rows}
    assert {name: paper for name, paper in rows.items() if paper} == wanted


def test_all_tables_with_all_their_networks_are_there():
    assert [path.stem for path in PATHS] == [f"table_{n}" for n in range(2, 8)]
    rows = {path.stem: read_experiment(path).rows for path in PATHS}
    cascades = {"D", "DD", "DDD", "AD", "ADD", "ADDD"}
    assert {row.network for row in rows["table_4"]} == cascades
    assert {row.network for row in rows["table_7"]} == cascades
    for row in (*rows["table_5"], *rows["table_6"], *rows["table_7"]):
        is_without_affine = row.network is not None and "A" not in row.network
        assert row.aligned == is_without_affine, row
    shares = [row.train_share for row in rows["table_3"]]
    assert shares == [row.train_share for row in rows["table_6"]] == [0.25, 0.5, 1]
    assert [row.method_name for row in rows["table_2"]] == [
        "identity",
        "ants",
        "elastix",
        "VoxelMorph-2",
        "ADDD",
        "ADDD-invertibility-0.01",
        "ADDD-supervised",
    ]


def test_every_network_sees_as_many_pairs_at_small_scale():
    scale = SCALES["small"]
    rows = [TableRow("a", network="D"), TableRow("b", network="VoxelMorph-2")]
    trainings = [recipe_of(row, FITTED, scale).training for row in rows]
    seen = {training.steps * training.pairs_per_step for training in trainings}
    assert len(seen) == 1


def test_recipes_are_what_rows_say():
    scale = SCALES["full"]
    plain = recipe_of(TableRow("a", network="ADDD"), FITTED, scale)
    assert plain.network.stages == "ADDD"
    assert plain.network.shape == FITTED.shape
    assert plain.training.pairs_per_step == 8
    assert plain.training.steps == 5 * 20_000
    supervised = recipe_of(TableRow("a", network="AD", supervised=True), FITTED, scale)
    assert supervised.training.objective == SUPERVISED
    inverted = recipe_of(TableRow("a", network="AD", invertibility=0.1), FITTED, scale)
    assert inverted.training.objective.invertibility == 0.1
    voxelmorph = recipe_of(TableRow("a", network="VoxelMorph-2"), FITTED, scale)
    assert voxelmorph.training.objective == VOXELMORPH
    assert voxelmorph.training.pairs_per_step == 4
    assert voxelmorph.training.steps == 5000


def test_small_grids_have_twice_the_voxel_size_and_fit_the_network():
    small = recipe_of(TableRow("a", network="DD"), FITTED, SCALES["small"])
    assert small.preprocessing.shape == small.network.shape == (24, 32, 24)
    assert small.preprocessing.spacing_mm == (2.0, 2.0, 2.0)
    voxelmorph = recipe_of(
        TableRow("a", network="VoxelMorph-2"), FITTED, SCALES["small"]
    )
    assert voxelmorph.preprocessing.shape == (32, 32, 32)


def test_smaller_shares_lie_within_larger_ones(tmp_path):
    cases = read_manifest(write_cohort(tmp_path, 8, 2))
    shares = [
        {case.name for case in share_of(cases, share)} for share in (0.25, 0.5, 1.0)
    ]
    assert [len(share) for share in shares] == [2 + 2, 4 + 2, 10]
    assert shares[0] < shares[1] < shares[2]


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 3 4", "expected a table"),
        ('title = "x"', "expected a table"),
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


def test_installed_tables_are_read_by_their_name():
    by_name = read_experiment(Path("table_4"))
    assert by_name == read_experiment(TABLES / "table_4.toml")
    with pytest.raises(InputError, match=r"table_9: .*table_2, .*table_7.*got neither"):
        read_experiment(Path("table_9"))


@pytest.fixture
def tiny(monkeypatch):
    """Trainings of a few steps, without pictures."""
    hide_packages(monkeypatch, "matplotlib")
    training = replace(
        SCALES["small"].training,
        steps=2,
        validate_every=2,
        pairs_per_step=1,
        augmentation=Augmentation(),
    )
    scale = replace(SCALES["small"], channels=2, coarsening=1, training=training)
    monkeypatch.setitem(experiment.SCALES, "small", scale)


@pytest.mark.filterwarnings("ignore:.*atplotlib")
def test_an_experiment_trains_compares_and_goes_on(tiny, tmp_path):
    (tmp_path / "data").mkdir()
    cases = read_manifest(write_cohort(tmp_path / "data", 4, 2))
    table = tmp_path / "table.toml"
    table.write_text(
        'title = "Two"\n'
        '[[row]]\nname = "nothing"\nmethod = "identity"\npaper = { iou = 0.25 }\n'
        '[[row]]\nname = "VTN AD"\nnetwork = "AD"\n'
        '[[row]]\nname = "half"\nnetwork = "AD"\ntrain_share = 0.5\n'
    )
    found = read_experiment(table)
    scores = run_experiment(found, cases, out=tmp_path / "out")
    assert [score.method for score in scores.pairs[::2]] == [
        "nothing",
        "VTN AD",
        "half",
    ]
    trained = tmp_path / "out" / "small" / "trained"
    best = trained / "AD-share-0.5" / "best.safetensors"
    assert len(load_model(best).provenance["train_cases"]) == 2
    lines = (tmp_path / "out" / "small" / "table" / "table.md").read_text().splitlines()
    nothing = next(line for line in lines if line.startswith("| nothing |"))
    assert " 0.25 " in nothing
    before = best.stat().st_mtime_ns
    again = run_experiment(found, cases, out=tmp_path / "out")
    assert best.stat().st_mtime_ns == before
    assert str(again) == str(scores)  # NaN is not equal to itself
