"""Records of finished pairs on disk."""

import json
import math

import pytest

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.evaluation import PairScore
from voltween.evaluation.records import Record, Records, kept_transform
from voltween.evaluation.scores import StageScore, StructureScore
from voltween.storage import file_name

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


def test_a_record_from_before_the_number_of_threads_counts(tmp_path):
    records = Records(tmp_path)
    records.keep(RECORD, {})
    (path,) = tmp_path.rglob("*.json")
    stored = json.loads(path.read_text("utf-8"))
    assert stored["pair"].pop("threads") == 0
    path.write_text(json.dumps(stored))
    found = records.find(NAMES["method"], PAIR, {})
    assert (found.pair.dice, found.pair.threads) == (0.5, 0)


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
    stored = json.loads(path.read_text("utf-8"))
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
    path.write_text(path.read_text("utf-8")[:40])
    with pytest.warns(SuspiciousInputWarning, match=r"one--two\.json: .*not used"):
        assert records.find(NAMES["method"], PAIR, {}) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: [stored],
        lambda stored: 5,
        lambda stored: {},
        lambda stored: stored | {"facts": []},
        lambda stored: stored | {"pair": [1]},
        lambda stored: stored | {"structures": 3},
        lambda stored: stored | {"stages": [None]},
        lambda stored: stored | {"pair": {**stored["pair"], "dice": "half"}},
        lambda stored: stored | {"pair": {**stored["pair"], "dice": 10**400}},
        lambda stored: stored | {"pair": {**stored["pair"], "status": {}}},
        lambda stored: stored | {"structures": [{**NAMES, "label": 0.5}]},
    ],
)
def test_a_record_of_the_wrong_shape_is_told_and_not_finished(change, tmp_path):
    records = Records(tmp_path)
    records.keep(RECORD, {})
    (path,) = tmp_path.rglob("*.json")
    path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))))
    for look in (lambda *key: records.find(*key, {}), records.read, records.is_masked):
        with pytest.warns(SuspiciousInputWarning, match="not used"):
            assert not look(NAMES["method"], PAIR)


@pytest.mark.parametrize("text", ["[" * 99999, '{"facts": ' + 9999 * "9" + "}"])
def test_json_that_no_program_can_read_is_no_record(text, tmp_path):
    records = Records(tmp_path)
    records.keep(RECORD, {})
    (path,) = tmp_path.rglob("*.json")
    path.write_text(text)
    with pytest.warns(SuspiciousInputWarning, match="not used"):
        assert records.read(NAMES["method"], PAIR) is None


def named(fixed, moving, dice):
    """A record of a pair."""
    return Record(PairScore(method="m", fixed=fixed, moving=moving, dice=dice))


PAIRS_OF_ONE_TEXT = [
    (("a--b", "c"), ("a", "b--c")),
    (("a-", "b"), ("a", "-b")),
    (("a--", "b"), ("a", "--b")),
]


@pytest.mark.parametrize("pairs", PAIRS_OF_ONE_TEXT)
def test_pairs_whose_names_join_to_one_text_have_their_own_records(pairs, tmp_path):
    records = Records(tmp_path)
    for dice, pair in enumerate(pairs):
        records.keep(named(*pair, float(dice)), {})
    for dice, pair in enumerate(pairs):
        assert records.find("m", pair, {}).pair.dice == dice
    one, other = (kept_transform(tmp_path, "m", pair) for pair in pairs)
    assert one != other


def test_records_of_earlier_versions_are_read_by_the_pair_in_them(tmp_path):
    records = Records(tmp_path)
    one, other = PAIRS_OF_ONE_TEXT[0]
    records.keep(named(*one, 0.5), {})
    (path,) = tmp_path.rglob("*.json")
    path.rename(path.with_name("a--b--c.json"))
    assert records.find("m", one, {}).pair.dice == 0.5
    assert records.find("m", other, {}) is None
    assert records.find_transform("m", one).name == "a--b--c.h5"
    assert records.find_transform("m", other) == kept_transform(tmp_path, "m", other)


def test_records_without_a_list_of_files_as_earlier_versions_wrote_are_found(tmp_path):
    records = Records(tmp_path)
    records.keep(RECORD, {"weights": "abc"})
    (path,) = tmp_path.rglob("*.json")
    stored = json.loads(path.read_text("utf-8"))
    assert stored.pop("content") == {}
    path.write_text(json.dumps(stored))
    assert records.find(NAMES["method"], PAIR, {"weights": "abc"}).pair.dice == 0.5


def test_names_of_any_length_have_records(tmp_path):
    records = Records(tmp_path)
    pair = ("x" * 900, "y" * 900)
    records.keep(named(*pair, 0.5), {})
    assert records.find("m", pair, {}).pair.dice == 0.5


def test_names_become_different_names_of_files():
    assert file_name("ants-syn") == "ants-syn"
    names = ["a/b", "a_b", "a:b", "..", ".", "x" * 300 + "/"]
    made = [file_name(name) for name in names]
    assert len(set(made)) == len(made)
    assert all(len(name) < 90 and "/" not in name for name in made)
    devices = ["con", "NUL.nii", "com1", "a.", "", "e\u0301", "\udc80", "é" * 101]
    assert all(file_name(name) != name for name in devices)
    assert len({file_name(name) for name in devices}) == len(devices)
    assert max(len(file_name("\u65e5" * n).encode()) for n in range(300)) <= 200
    assert file_name("console") == "console"
    assert file_name("a" * 200) == "a" * 200  # as earlier versions
    assert not any(name.startswith(".") for name in made)
