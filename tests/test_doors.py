"""Every door of the package against every guard (the table in docs/reliability.md)."""

import csv
import os
import re
import shutil
import threading
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from doors import page
from doors.catalogue import DOORS, FREE, NOT_OPENED
from doors.commands import file_options
from doors.files import BAD, GUARDS, write_good
from fuzz.readings import write_plan
from support.cohorts import write_cohort
from support.commands import write_pair
from support.rcn import rcn_variables
from voltween import io
from voltween.cli.app import COMMANDS
from voltween.errors import VoltweenError
from voltween.evaluation.paper.table_file import TABLES

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
READERS = {
    "image": ("read", "read_channels"),
    "labels": ("read_labels", "read_channels"),
    "transform": ("read_transform",),
    "points": ("read_points",),
}
LISTS = ("manifest", "pairs", "splits", "names")
CELLS = [
    pytest.param(door, guard, id=f"{door.name}, {guard}")
    for door in DOORS
    for guard in GUARDS
    if not page.reason(door, guard)
]


class EnoughError(BaseException):
    """Ends a command once the file in question has been read."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Files that every door works with, and a good file of every kind."""
    folder = tmp_path_factory.mktemp("doors")
    write_pair(folder)
    good = write_good(folder)
    good["manifest"] = write_cohort(folder, train=2, val=2)
    good["table"] = Path(shutil.copy(TABLES / "table_4.toml", folder / "table.toml"))
    good["checkpoint"] = folder / "weights.npz"
    np.savez(good["checkpoint"], **rcn_variables((64,) * 3, channels=1, dense=1))
    good["plan"] = _write_plan(folder)
    return folder, {kind: path.name for kind, path in good.items()}


@pytest.fixture
def place(template, tmp_path):
    """A copy of these files: the folder, and the good files by kind."""
    folder, good = template
    shutil.copytree(folder, tmp_path / "work", copy_function=_copy)
    (tmp_path / "bad").mkdir()
    return tmp_path / "work", {k: tmp_path / "work" / name for k, name in good.items()}


@pytest.mark.parametrize(("door", "guard"), CELLS)
@pytest.mark.filterwarnings("ignore")
def test_guard(door, guard, place, monkeypatch):
    folder, good = place
    if guard == "overwritten":
        _check_is_kept(door, folder, good[door.kind])
    elif guard == "pipe":
        pipe = folder.parent / "bad" / good[door.kind].name
        os.mkfifo(pipe)
        os.link(pipe, folder.parent / "pipe")  # the door may rename it
        with _Watched(folder.parent / "pipe") as watched:
            _check_is_refused(door, folder, pipe)
        assert not watched.was_waited_for
    else:
        bad = BAD[door.kind][guard]
        file = bad.write(folder.parent / "bad", good[door.kind])
        if bad.accepts is None:
            _check_is_refused(door, folder, file)
        else:
            _check_is_read_rightly(door, folder, file, bad.accepts, monkeypatch)


def _check_is_refused(door, folder, file):
    """An error ends the command, or all pairs that need the file have failed."""
    name = (door.alias or file.stem).lower()
    error = _error(door, folder, file)
    if isinstance(error, VoltweenError):
        assert error.about
        assert name in str(error).lower() or door.kind in LISTS
    elif error is None:
        with (folder / "out" / "pairs.csv").open(newline="") as text:
            rows = list(csv.DictReader(text))
        assert {row["status"] for row in rows} <= {"failed", "unavailable"}
        assert all(name in row["note"].lower() for row in rows)


def _error(door, folder, file):
    """The error that ends a command; `prepare` exits after it told the faults."""
    try:
        _enter(door, folder, file)
    except (VoltweenError, SystemExit) as error:
        return error
    return None


def _check_is_read_rightly(door, folder, file, accepts, monkeypatch):
    """Right is what the guard accepts, or an error."""
    readings = []

    def spy(reader):
        def read(path, *arguments, **options):
            thing = reader(path, *arguments, **options)
            if Path(path).name == file.name or door.alias == Path(path).name[:4]:
                readings.append(thing)
                raise EnoughError
            return thing

        return read

    for reader in READERS[door.kind]:
        monkeypatch.setattr(io, reader, spy(getattr(io, reader)))
    with suppress(VoltweenError, EnoughError, SystemExit):
        readings += [_enter(door, folder, file)]
    assert all(accepts(thing) for thing in readings)


def _check_is_kept(door, folder, file):
    """The output is another name of the input."""
    out = folder / door.out
    out.parent.mkdir(exist_ok=True)
    if out.parent != folder:
        (out.parent / "registration.json").write_text("{}")
    os.link(file, out)
    before = file.read_bytes()
    with pytest.raises(VoltweenError, match="an output that is not an input"):
        _enter(door, folder, file)
    assert file.read_bytes() == before


def _enter(door, folder, file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return door.enter(folder, file)


def _copy(source, target):
    """Copies a file; large ones, which no door changes, are linked."""
    is_small = os.path.getsize(source) < 1e6
    return shutil.copy(source, target) if is_small else os.link(source, target)


class _Watched:
    """A pipe that is opened for writing as soon as a reader waits, which then ends."""

    def __init__(self, path):
        self.path = path
        self.was_waited_for = False
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._open, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def _open(self):
        while not self.is_over.wait(0.05):
            with suppress(OSError):  # nobody reads
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
                self.was_waited_for = True


def _write_plan(folder):
    path = folder / write_plan(folder)
    text = re.sub(r"manifest = .*", 'manifest = "cases.csv"', path.read_text("utf-8"))
    path.write_text(text)
    return path


def test_every_option_that_names_a_file_is_a_door():
    named = {door.name for door in DOORS} | set(NOT_OPENED)
    tails = {name.split(": ")[-1].strip("`") for name in named}
    for command in (*COMMANDS, "bids-app"):
        module = import_module(f"voltween.cli.{command.replace('-', '_')}")
        kind = getattr(module, "".join(p.capitalize() for p in command.split("-")))
        options = {name for name in file_options(kind) if name not in FREE}
        assert {name.rpartition(".")[2] for name in options} <= tails, command


def test_the_page_shows_this_table():
    text = PAGE.read_text("utf-8")
    shown = text.split(page.START)[1].split(page.END)[0]
    assert shown == page.table()
