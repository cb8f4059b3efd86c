import csv

import numpy as np
import pytest

from helpers import tiny_model
from phantoms import write_cohort
from voltween import io
from voltween.data import read_manifest
from voltween.errors import InputError
from voltween.evaluate import (
    chosen_pairs,
    evaluate,
    structure_summary,
    summary,
    write_evaluation,
)
from voltween.metrics import dice_per_label
from voltween.register import register


@pytest.fixture(scope="module", name="cases")
def cases_fixture(tmp_path_factory):
    return read_manifest(write_cohort(tmp_path_factory.mktemp("cohort"), 1, 2))


def test_all_ordered_pairs_or_a_fixed_draw_of_them():
    assert chosen_pairs("abc", 0) == [
        tuple(p) for p in ("ab", "ac", "ba", "bc", "ca", "cb")
    ]
    drawn = chosen_pairs("abcdef", 7)
    assert len(set(drawn)) == 7
    assert chosen_pairs("abcdef", 7) == drawn


def test_scores_are_those_of_the_registration(cases):
    model = tiny_model(strength=0.2)
    fixed, moving = cases[1], cases[2]
    result = evaluate(model, cases, pairs=[(fixed.name, moving.name)])
    registration = register(io.read(fixed.image), io.read(moving.image), model=model)
    labels = io.read_labels(moving.labels)
    moved = registration.fixed_to_moving.resample(labels, onto=registration.fixed.grid)
    dice = dice_per_label(io.read_labels(fixed.labels).data, moved.data)
    last = [score for score in result.pairs if score.stage == "dense 2"]
    assert last[0].dice == pytest.approx(np.mean([dice[1], dice[2]]))
    assert last[0].folding_percent == registration.folding_percent
    by_label = {s.label: s for s in result.structures if s.stage == "dense 2"}
    assert by_label[1].dice == pytest.approx(dice[1])
    assert by_label[1].iou == pytest.approx(dice[1] / (2 - dice[1]))


def test_tables_are_written(cases, tmp_path):
    names = [case.name for case in cases]
    result = evaluate(tiny_model(strength=0.1), cases, pairs=chosen_pairs(names, 0))
    write_evaluation(result, tmp_path)
    with (tmp_path / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * 4  # pairs, stages
    mean = np.mean([float(row["dice"]) for row in rows if row["stage"] == "affine"])
    assert summary(result)[1]["dice"] == pytest.approx(mean)
    assert [row["stage"] for row in summary(result)] == [
        "before",
        "affine",
        "dense 1",
        "dense 2",
    ]
    assert {row["label"] for row in structure_summary(result)} == {1, 2}
    assert (tmp_path / "summary.md").read_text().startswith("| stage |")


def test_cases_without_labels_are_refused(cases, tmp_path):
    (tmp_path / "bare.csv").write_text(f"case,image,split\nbare,{cases[0].image},val\n")
    bare = read_manifest(tmp_path / "bare.csv")
    with pytest.raises(InputError, match=r"have none: \['bare'\]"):
        evaluate(tiny_model(), bare, pairs=[])
