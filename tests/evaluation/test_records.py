"""Records of finished pairs on disk."""

import json
import math

import pytest

from voltween.errors import InputError
from voltween.evaluation import PairScore
from voltween.evaluation.records import Record, Records, kept_transform
from voltween.evaluation.scores import StageScore, StructureScore
from voltween.files import file_name

NAMES = {"method": "model:/a/b.safetensors", "fixed": "one", "moving": "two"}
RECORD = Record(
    PairScore(**NAMES, dice=0.5, structures=2, note="not in fixed: 3"),
    (StructureScore(**NAMES, label=3, dice=0.25),),
    (StageScore(**NAMES, stage="affine", dice=0.1, iou=0.05, folding_percent=0.0),),
)
PAIR = ("one", "two")


def test_a_record_comes_back_as_it_was_kept(tmp_path):
    records = Records(tmp_path)
    records.keep(RECORD, {"weights": "abc"})
    found = records.find(NAMES["method"], PAIR, {"weights": "abc"})
    assert found.pair.dice == 0.5
    assert found.pair.note == "not in fixed: 3"
    assert math.isnan(found.pair.hd95_mm)
    assert found.structures[0].label == 3
    assert math.isnan(found.structures[0].iou)
    assert found.stages == RECORD.stages


def test_other_facts_pairs_and_methods_are_not_finished(tmp_path):
    records = Records(tmp_path)
    records.keep(RECORD, {"weights": "abc"})
    assert records.find(NAMES["method"], PAIR, {"weights": "abd"}) is None
    assert records.find(NAMES["method"], ("two", "one"), {"weights": "abc"}) is None
    assert records.find("ants", PAIR, {"weights": "abc"}) is None


def test_a_record_is_read_under_whatever_facts(tmp_path):
    records = Records(tmp_path)
    assert records.read(NAMES["method"], PAIR) is None
    records.keep(RECORD, {"weights": "abc"})
    found = records.read(NAMES["method"], PAIR)
    assert found.pair.dice == 0.5
    assert found.stages == RECORD.stages
    assert records.read(NAMES["method"], ("two", "one")) is None


def test_a_record_of_another_version_is_not_finished_and_not_read(tmp_path):
    records = Records(tmp_path)
    records.keep(RECORD, {"weights": "abc"})
    (path,) = tmp_path.rglob("*.json")
    stored = json.loads(path.read_text())
    stored["facts"]["format"] -= 1
    del stored["pair"]["iou_union"]  # a measure that the other version did not take
    path.write_text(json.dumps(stored))
    assert records.find(NAMES["method"], PAIR, {"weights": "abc"}) is None
    with pytest.raises(InputError, match=r"--two\.json: .*another version.*repeat"):
        records.read(NAMES["method"], PAIR)


def test_whether_the_images_were_masked_is_known_afterwards(tmp_path):
    records = Records(tmp_path)
    assert not records.is_masked(NAMES["method"], PAIR)
    for masked in (True, False):
        records.keep(RECORD, {"masked": masked})
        assert records.is_masked(NAMES["method"], PAIR) is masked


def test_transforms_are_kept_apart_by_method_and_pair(tmp_path):
    one = kept_transform(tmp_path, NAMES["method"], PAIR)
    assert one.name == "one--two.h5"
    assert one != kept_transform(tmp_path, NAMES["method"], ("two", "one"))
    assert one.parent != kept_transform(tmp_path, "ants", PAIR).parent
    assert one.parents[1] == tmp_path / "transforms"


def test_a_record_cut_short_is_not_finished(tmp_path):
    records = Records(tmp_path)
    records.keep(RECORD, {})
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text()[:40])
    assert records.find(NAMES["method"], PAIR, {}) is None


def test_names_become_different_names_of_files():
    assert file_name("ants-syn") == "ants-syn"
    names = ["a/b", "a_b", "a:b", "..", ".", "x" * 300 + "/"]
    made = [file_name(name) for name in names]
    assert len(set(made)) == len(made)
    assert all(len(name) < 90 and "/" not in name for name in made)
    assert not any(name.startswith(".") for name in made)
