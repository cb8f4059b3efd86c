"""Files that a process keeps: read once, again when they change, one per role."""

import os
import warnings

import pytest

from support.commands import run_here
from support.phantoms import write_manifest_of, write_phantoms
from voltween import io
from voltween.batches.kept_files import kept_digest, kept_file
from voltween.errors import SuspiciousInputWarning
from voltween.storage import content_digest


@pytest.fixture(name="path")
def path_fixture(tmp_path):
    path = tmp_path / "text"
    path.write_text("one")
    return path


def change(path, text):
    """Writes other content; the time is another one on any file system."""
    path.write_text(text)
    os.utime(path, (0, path.stat().st_mtime + 10))


def test_a_file_is_read_again_only_when_it_has_changed(path):
    read = []

    def read_text(place):
        read.append(place)
        return place.read_text("utf-8")

    assert [kept_file("test", path, read_text) for _ in range(2)] == ["one", "one"]
    assert len(read) == 1
    change(path, "two")
    assert kept_file("test", path, read_text) == "two"
    other = path.with_name("other")
    other.write_text("three")
    assert kept_file("test", other, read_text) == "three"
    assert kept_file("test", path, read_text) == "two"
    assert len(read) == 4


def test_warnings_about_a_kept_file_are_given_to_every_pair(path):
    def warn(place):
        warnings.warn("no units", SuspiciousInputWarning, stacklevel=2)

    for _ in range(2):
        with pytest.warns(SuspiciousInputWarning, match="no units"):
            kept_file("test", path, warn)


def test_a_missing_file_is_not_kept(tmp_path):
    def fail(place):
        raise FileNotFoundError

    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            kept_file("test", tmp_path / "missing", fail)


def test_digests_are_those_of_the_content(path, tmp_path):
    first = kept_digest(path)
    assert first == content_digest(path)
    change(path, "two")
    assert kept_digest(path) == content_digest(path) != first


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_an_atlas_and_its_labels_are_read_once_for_all_pairs(tmp_path, monkeypatch):
    shifts = {"atlas": (0, 0, 0), "a": (2, 0, 0), "b": (0, 2, 0)}
    scans = write_phantoms(tmp_path / "scans", shifts)
    write_manifest_of(scans, ("a", "b"))
    read = []
    for name in ("read", "read_labels"):
        original = getattr(io, name)
        monkeypatch.setattr(
            io,
            name,
            lambda path, original=original: read.append(path.name) or original(path),
        )
    code = run_here(
        *("cohort", scans / "cases.csv", "--fixed", scans / "atlas.nii.gz"),
        *("--fixed-labels", scans / "atlas_labels.nii.gz", "--out", tmp_path / "out"),
        *("--model", "none", "--refine", 4, "--outputs", "transform"),
    )
    assert code == 0
    assert read.count("atlas.nii.gz") == read.count("atlas_labels.nii.gz") == 1
    assert read.count("b.nii.gz") == 1
