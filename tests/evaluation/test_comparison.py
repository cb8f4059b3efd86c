"""Finished comparisons as they are read again."""

import csv
import json
import math

import numpy as np
import pytest

from support.cohorts import write_cohort
from voltween import io
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.evaluation import PairScore, read_compared_pair
from voltween.evaluation.comparison import median_pair, read_scores
from voltween.evaluation.comparison_folder import METHOD_NAMES_FILE
from voltween.evaluation.records import Record, Records, kept_transform
from voltween.evaluation.scores import Scores
from voltween.spatial import Affine

SHIFT = Affine(np.array([[1.0, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
PAIRS = (("case0", "case1"), ("case1", "case0"))
IOU = {"identity": (0.2, 0.9), "model:one": (0.7, 0.4), "broken": (math.nan, 0.3)}


@pytest.fixture(name="compared")
def compared_fixture(tmp_path):
    """A comparison with known scores; one method failed on the first pair."""
    manifest = write_cohort(tmp_path, 0, 2)
    out = tmp_path / "out"
    rows = []
    for method, values in IOU.items():
        for pair, iou in zip(PAIRS, values, strict=True):
            status = "failed" if math.isnan(iou) else "ok"
            names = {"method": method, "fixed": pair[0], "moving": pair[1]}
            rows.append({**names, "status": status})
            if status == "ok":
                Records(out).keep(Record(PairScore(**names, iou=iou)), {})
                path = kept_transform(out, method, pair)
                path.parent.mkdir(parents=True, exist_ok=True)
                io.write(SHIFT, path)
    with (out / "pairs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return out, read_manifest(manifest)


def scores_of(iou, method="model:one"):
    pairs = [
        PairScore(method=method, fixed=f"f{n}", moving="m", iou=value)
        for n, value in enumerate(iou)
    ]
    return Scores(tuple(pairs), (), ())


def test_the_first_models_lower_middle_pair_is_read_unless_another_is_asked_for(
    compared,
):
    out, cases = compared
    pair = read_compared_pair(out, cases)
    assert (pair.fixed.name, pair.moving.name) == PAIRS[1]
    assert pair.chosen == "median pair of 2 by IoU of model:one"
    asked = read_compared_pair(out, cases, PAIRS[0])
    assert (asked.fixed.name, asked.moving.name) == PAIRS[0]
    assert asked.chosen == "pair as asked for"


def test_methods_are_those_that_registered_the_pair_in_their_order(compared):
    out, cases = compared
    assert list(read_compared_pair(out, cases, PAIRS[0]).methods) == [
        "identity",
        "model:one",
    ]
    assert list(read_compared_pair(out, cases, PAIRS[1]).methods) == list(IOU)


def test_transforms_and_scores_are_those_that_were_kept(compared):
    out, cases = compared
    for name, result in read_compared_pair(out, cases, PAIRS[1]).methods.items():
        assert result.record.pair.iou == IOU[name][1]
        mapped = result.fixed_to_moving.map_positions(np.zeros((1, 3)))
        np.testing.assert_allclose(mapped, [[3.0, 0.0, 0.0]], atol=1e-9)


def test_scans_are_masked_if_they_were_when_registered(compared):
    out, cases = compared
    plain = read_compared_pair(out, cases).fixed
    assert (plain.image.data[plain.labels.data == 0] > 0).any()
    for path in (out / "finished").rglob("*.json"):
        stored = json.loads(path.read_text("utf-8"))
        stored["facts"]["masked"] = True
        path.write_text(json.dumps(stored))
    masked = read_compared_pair(out, cases).fixed
    assert not masked.image.data[masked.labels.data == 0].any()
    inside = masked.labels.data > 0
    assert np.array_equal(masked.image.data[inside], plain.image.data[inside])


@pytest.mark.parametrize(
    ("iou", "fixed"),
    [((0.5,), "f0"), ((0.9, 0.1, 0.5), "f2"), ((0.9, math.nan, 0.1, 0.5), "f3")],
)
def test_the_median_pair_is_in_the_middle_of_those_measured(iou, fixed):
    pair, _ = median_pair(scores_of(iou))
    assert pair == (fixed, "m")


def test_the_median_pair_is_that_of_the_first_model_and_not_of_other_methods():
    iou = (0.9, 0.2, 0.6, 0.5)
    model, ants = scores_of(iou), scores_of(iou[::-1], "ants")
    pair, words = median_pair(Scores(model.pairs + ants.pairs, (), ()))
    assert pair == ("f3", "m")
    assert words == "median pair of 4 by IoU of model:one"


def test_without_a_model_the_best_method_chooses_and_without_overlap_the_first_pair():
    better = scores_of((0.8, 0.9, 0.7), "better").pairs
    worse = scores_of((0.1, 0.2, 0.3), "worse").pairs
    pair, words = median_pair(Scores(worse + better, (), ()))
    assert pair == ("f0", "m")
    assert words == "median pair of 3 by IoU of better"
    assert median_pair(scores_of((math.nan, math.nan))) == (("f0", "m"), "first pair")


def test_what_cannot_be_read_is_said_in_one_line(compared, tmp_path):
    out, cases = compared
    with pytest.raises(InputError, match=r"^\S+pairs.csv: expected a file"):
        read_compared_pair(tmp_path, cases)
    with pytest.raises(InputError, match="case0 to case0, which no method registered"):
        read_compared_pair(out, cases, ("case0", "case0"))
    with pytest.raises(InputError, match="without the case case1"):
        read_compared_pair(out, cases[:1])
    kept_transform(out, "identity", PAIRS[1]).unlink()
    with pytest.raises(InputError, match=r"case1--case0.h5: expected a transform"):
        read_compared_pair(out, cases)


@pytest.mark.parametrize(
    "table",
    [
        "fixed,moving\ncase0,case1\n",
        "fixed,moving,status\ncase0,case1,ok\n",
        "method,status\nidentity,ok\n",
        "",
        "a picture\n",
    ],
)
def test_a_table_of_another_kind_is_no_finished_comparison(table, tmp_path):
    (tmp_path / "pairs.csv").write_text(table)
    with pytest.raises(InputError, match="folder of a finished `voltween compare`"):
        read_scores(tmp_path)


@pytest.fixture(name="table")
def table_fixture(compared):
    """A table of an experiment: its records and transforms are one folder above."""
    out, cases = compared
    rows = {"before": "identity", "VTN ADD": "model:one", "broken": "broken"}
    lines = ["method,fixed,moving,status"]
    lines += [f"{row},{f},{m},ok" for row in rows for f, m in PAIRS[1:]]
    folder = out / "table_2"
    folder.mkdir()
    (folder / "pairs.csv").write_text("\n".join(lines))
    (folder / METHOD_NAMES_FILE).write_text(json.dumps(rows))
    (out / "pairs.csv").unlink()
    return folder, cases, rows


def test_a_table_of_an_experiment_is_read_by_the_names_of_its_rows(table):
    folder, cases, rows = table
    pair = read_compared_pair(folder, cases)
    assert list(pair.methods) == list(rows)
    for row, result in pair.methods.items():
        assert result.record.pair.iou == IOU[rows[row]][1]
        assert result.record.pair.method == row
        mapped = result.fixed_to_moving.map_positions(np.zeros((1, 3)))
        np.testing.assert_allclose(mapped, [[3.0, 0.0, 0.0]], atol=1e-9)
    assert [score.method for score in read_scores(folder).pairs] == list(rows)
    assert pair.chosen == "median pair of 1 by IoU of before"  # no name of a model


def test_without_names_of_its_own_a_table_has_those_of_the_records(table):
    folder, cases, rows = table
    (folder / METHOD_NAMES_FILE).unlink()
    text = (folder / "pairs.csv").read_text("utf-8").replace("before", "identity")
    (folder / "pairs.csv").write_text(text.replace("VTN ADD", "model:one"))
    assert list(read_compared_pair(folder, cases).methods) == list(rows.values())


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"before": 3}'])
def test_names_of_rows_that_cannot_be_read_are_said_to_be(text, table):
    folder, cases, _ = table
    (folder / METHOD_NAMES_FILE).write_text(text)
    with pytest.raises(InputError, match=r"methods.json: expected names of methods"):
        read_compared_pair(folder, cases)


def test_methods_asked_for_are_read_in_that_order_and_no_others(compared):
    out, cases = compared
    kept_transform(out, "broken", PAIRS[1]).unlink()
    asked = ("model:one", "identity")
    assert list(read_compared_pair(out, cases, methods=asked).methods) == list(asked)
    with pytest.raises(InputError, match=r"--methods: .*: identity, .* got nobody"):
        read_compared_pair(out, cases, methods=("identity", "nobody"))
