"""The commands on files: real registrations, exit codes, what is written."""

import numpy as np
import pytest

from support.commands import run_here
from support.phantoms import phantom, write_manifest_of, write_phantoms
from voltween import io
from voltween.batches import work
from voltween.metrics import dice_per_label
from voltween.templates import rounds

CHEAP = ("--model", "none", "--refine", 4)
SHIFTS = {"a": (0, 0, 0), "b": (4, 0, 0), "c": (0, -6, 0)}

pytestmark = [
    pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning"),
    pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning"),
]


@pytest.fixture(name="at")
def at_fixture(tmp_path):
    """A folder with three scans of one phantom, their labels and a manifest."""
    write_manifest_of(write_phantoms(tmp_path, SHIFTS), SHIFTS)
    return tmp_path


def test_a_template_and_the_transforms_to_its_scans(at, capsys):
    words = ["template", at / "cases.csv", "--out", at / "out", "--rounds", 1, *CHEAP]
    assert run_here(*words) == 0
    assert "Wrote" in capsys.readouterr().out
    template = io.read(at / "out" / "template.nii.gz")
    assert template.grid.axcodes == "RAS"
    moved = []
    for name in SHIFTS:
        labels = at / f"{name}_labels.nii.gz"
        out = at / f"{name}_on_template.nii.gz"
        transform = at / "out" / "transforms" / f"{name}.h5"
        onto = ["--onto", at / "out" / "template.nii.gz", "--out", out, "--labels"]
        assert run_here("apply", transform, labels, *onto) == 0
        moved.append(io.read_labels(out).data)
    assert np.mean([*dice_per_label(moved[0], moved[1]).values()]) > 0.9
    assert np.mean([*dice_per_label(moved[0], moved[2]).values()]) > 0.9
    assert (at / "out" / "rounds" / "1" / "index.html").exists()


def test_a_scan_is_labeled_and_its_registrations_are_kept(at, capsys):
    words = ["segment", at / "a.nii.gz", "--atlases", at / "cases.csv", *CHEAP]
    assert run_here(*words, "--out", at / "labels.nii.gz") == 0
    assert "2 atlases" in capsys.readouterr().out
    labels = io.read_labels(at / "labels.nii.gz")
    assert np.mean([*dice_per_label(phantom()[1].data, labels.data).values()]) > 0.9
    assert not list(at.glob(".voltween*"))
    kept = ["--registrations", at / "kept", "--fusion", "majority"]
    assert run_here(*words, "--out", at / "other.nii.gz", *kept) == 0
    assert (at / "kept" / "pairs.csv").exists()
    before = (at / "kept" / "records" / "b.json").stat().st_mtime_ns
    again = ["--registrations", at / "kept", "--fusion", "staple"]
    assert run_here(*words, "--out", at / "third.nii.gz", *again) == 0
    assert (at / "kept" / "records" / "b.json").stat().st_mtime_ns == before


def test_a_label_map_needs_the_name_of_an_image(at, capsys):
    words = ["segment", at / "a.nii.gz", "--atlases", at / "cases.csv"]
    assert run_here(*words, "--out", at / "labels.csv") == 2
    assert "a name for a label map" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ((), "nothing is kept: give --registrations DIR"),
        (("--registrations", "kept"), "what is finished is kept"),
    ],
)
def test_an_interrupt_says_what_is_left(options, left, at, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "register_files", interrupt)
    monkeypatch.chdir(at)
    words = ["segment", at / "a.nii.gz", "--atlases", at / "cases.csv", *CHEAP]
    assert run_here(*words, "--out", at / "labels.nii.gz", *options) == 130
    assert left in capsys.readouterr().err
    assert (at / "kept").exists() == bool(options)
    assert not (at / "labels.nii.gz").exists()


def test_an_interrupt_between_registrations_says_it_too(at, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(rounds, "average_scans", interrupt)
    words = ["template", at / "cases.csv", "--out", at / "out", "--rounds", 0, *CHEAP]
    assert run_here(*words) == 130
    assert "what is finished is kept" in capsys.readouterr().err


def test_a_folder_of_scans_has_no_splits(at, capsys):
    words = ["template", at, "--split", "test", "--out", at / "out"]
    assert run_here(*words) == 2
    error = capsys.readouterr().err
    assert "--split: expected cases with a split, got cases without one" in error


def test_an_unknown_split_is_refused(at, capsys):
    words = ["template", at / "cases.csv", "--split", "tset", "--out", at / "out"]
    assert run_here(*words) == 2
    assert "--split" in capsys.readouterr().err
