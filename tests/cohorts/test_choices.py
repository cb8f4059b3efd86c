"""The user's choices: which cases, which splits, and that they are kept."""

import csv
import json
import shutil

import pytest

from support.downloads import adhd200, lits, lpba40
from voltween.cohorts import (
    PreparationOptions,
    cases_of_split,
    download_named,
    prepare,
    read_manifest,
)
from voltween.errors import InputError

LITS = download_named("lits")


@pytest.fixture(name="run")
def run_fixture(tmp_path):
    """A function that prepares a stand-in of LiTS with options."""
    lits(tmp_path / "in")

    def run(**options):
        for name in ("only", "without", "splits"):
            if name in options:
                options[name] = listed(tmp_path / f"{name}.txt", options[name])
        return prepare(
            *(LITS, tmp_path / "in"),
            out=tmp_path / "out",
            options=PreparationOptions(**options),
        )

    return run


def listed(path, text):
    path.write_text(text)
    return path


def edit(path, change):
    """Rewrite a CSV, each row by `change`, which returns None to leave it out."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in map(change, rows) if row]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)


def test_chosen_cases_are_prepared_and_kept_by_the_next_run(run, tmp_path):
    first = run(only="# the first\nlits-3\n\n lits-0 \n")
    assert list(first.splits) == ["lits-0", "lits-3"]
    assert first.faults == ()  # what was not chosen is not missing
    assert first.notes == ()
    (tmp_path / "only.txt").unlink()
    again = run()
    assert again.splits == first.splits
    assert again.made == ()
    assert again.notes == ("Kept from the last run: --only",)
    both = run(without="lits-0\n")
    assert list(both.splits) == ["lits-3"]
    anew = run(only="lits-1\nlits-2\n", without="lits-2\n")
    assert list(anew.splits) == ["lits-1"]


def test_a_case_that_is_incomplete_can_be_left_out(run, tmp_path):
    batch = tmp_path / "in" / "media" / "nas" / "Training Batch 1"
    (batch / "segmentation-1.nii").unlink()
    assert "lits-1: expected labels" in run().faults[0]
    faults = run(without="lits-1\n").faults
    assert faults == ("missing: lits-4 to lits-130",)
    gone = run(only="lits-0\nlits-2\n", without="lits-0\n").faults
    assert gone == ()


def test_a_chosen_case_that_is_gone_is_a_fault(tmp_path):
    adhd200(tmp_path / "in")
    heads = download_named("adhd200"), tmp_path / "in"
    chosen = listed(tmp_path / "only.txt", "1018950\n1018951\n")
    options = PreparationOptions(only=chosen)
    assert prepare(*heads, out=tmp_path / "out", options=options).faults == ()
    shutil.rmtree(tmp_path / "in" / "KKI" / "1018950")
    again = prepare(*heads, out=tmp_path / "out")
    assert again.faults == ("1018950: expected a case of the download, got none",)
    assert list(again.splits) == ["1018951"]


def test_names_that_are_no_cases_are_refused(run, tmp_path):
    for option in ("only", "without"):
        with pytest.raises(InputError, match=rf"{option}.txt: .* got lits-x: write"):
            run(**{option: "lits-0\nlits-x\n"})
    with pytest.raises(InputError, match=r"splits.txt: .* got lits-x: write them"):
        run(splits="case,split\nlits-x,test\n")
    with pytest.raises(InputError, match="one case per line, got no case"):
        run(only="\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,split\nlits-0,exam\n", "splits of train, val, test, got lits-0: 'exam'"),
        ("name,split\nlits-0,test\n", "expected a CSV with columns case and split"),
        ("case,split\nlits-0,test\nlits-0,val\n", "got 2 rows of 1 cases"),
    ],
)
def test_faulty_splits_are_refused(text, message, run):
    with pytest.raises(InputError, match=message):
        run(splits=text)


def test_splits_are_set_and_kept_and_the_others_are_drawn(run):
    splits = run(splits="case,split\nlits-0,test\nlits-1,train\n").splits
    assert splits["lits-0"] == "test"
    assert run().splits == splits
    all_val = run(splits="case,split\nlits-3,val\n").splits
    assert all_val == {f"lits-{n}": "train" for n in range(3)} | {"lits-3": "val"}


def test_a_person_of_chosen_split_is_not_drawn(run):
    drawn = [name for name, split in run().splits.items() if split == "val"]
    rows = "".join(f"{name},train\n" for name in drawn)
    splits = run(splits=f"case,split\n{rows}", val_share=0.9).splits
    assert all(splits[name] == "train" for name in drawn)


def test_the_share_of_val_is_kept(run):
    assert set(run(val_share=0.0).splits.values()) == {"train"}
    assert set(run().splits.values()) == {"train"}
    assert set(run(val_share=0.5).splits.values()) == {"train", "val"}


def test_another_recipe_needs_another_folder(run, tmp_path):
    run()
    lpba40(tmp_path / "brains")
    with pytest.raises(InputError, match="one in which lits is prepared"):
        prepare(download_named("lpba40"), tmp_path / "brains", out=tmp_path / "out")
    record = tmp_path / "out" / "options.json"
    whole = json.loads(record.read_text("utf-8"))
    changes = {"val_share": "x", "splits": 5, "without": 3, "region": [1]}
    wrong = [json.dumps(whole | {key: value}) for key, value in changes.items()]
    for text in ("[]", json.dumps({"recipe": "lits"}), "no json", *wrong):
        record.write_text(text)
        with pytest.raises(InputError, match=r"options.json: expected the options"):
            run()


class TestEdits:
    """A manifest that was edited by hand."""

    def test_a_split_is_not_undone(self, run, tmp_path):
        run()
        path = tmp_path / "out" / "cases.csv"
        edit(path, lambda row: row | {"split": "test"} if "0" in row["case"] else row)
        text = path.read_text("utf-8")
        with pytest.raises(InputError, match=r"got lits-0 is test: give them as"):
            run()
        assert path.read_text("utf-8") == text
        kept = run(splits=text)
        assert kept.splits["lits-0"] == "test"
        assert run().splits == kept.splits

    def test_a_row_that_was_deleted_is_not_prepared_again(self, run, tmp_path):
        run()
        path = tmp_path / "out" / "cases.csv"
        edit(path, lambda row: None if row["case"] == "lits-1" else row)
        with pytest.raises(InputError, match=r"got lits-1 is left out: give them"):
            run()
        assert "lits-1" not in run(without="lits-1\n").splits
        path.write_text("case,image,split\n")
        path.unlink()
        assert "lits-1" not in run().splits

    def test_other_edits_are_named(self, run, tmp_path):
        run()
        path = tmp_path / "out" / "cases.csv"
        edit(path, lambda row: row | {"age": "50"} if "0" in row["case"] else row)
        text = path.read_text("utf-8") + "more,images/lits-0.nii.gz,,,test,,,\n"
        path.write_text(text)
        with pytest.raises(InputError, match=r"lits-0 has another age; more is added"):
            run()

    def test_a_file_that_was_saved_anew_is_no_edit(self, run, tmp_path):
        run()
        path = tmp_path / "out" / "cases.csv"
        text = path.read_text("utf-8")
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        run()
        assert path.read_text("utf-8") == text

    def test_a_manifest_of_an_earlier_version_is_not_lost_either(self, run, tmp_path):
        run()
        (tmp_path / "out" / "finished" / "cases.csv").unlink()
        run()  # without edits
        (tmp_path / "out" / "finished" / "cases.csv").unlink()
        path = tmp_path / "out" / "cases.csv"
        edit(path, lambda row: None if row["case"] == "lits-1" else row)
        with pytest.raises(InputError, match=r"got lits-1 is left out: give them"):
            run()


def test_the_manifest_with_chosen_splits_has_cases_to_test(run):
    ready = run(splits="case,split\nlits-0,test\nlits-2,test\n")
    cases = cases_of_split(read_manifest(ready.manifest), "test")
    assert [case.name for case in cases] == ["lits-0", "lits-2"]
