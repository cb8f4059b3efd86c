"""Finished work is whole and of its facts, or made anew, whatever ends its writers."""

import errno
import json
import os
import signal
import subprocess

import pytest

from support.processes import finish, start
from support.writing import DISK_FULL, BrokenError, kill_while_writing, names_in
from voltween.errors import InputError, OutputError, SuspiciousInputWarning
from voltween.storage import Store, facts_digest, reading
from voltween.storage import store as stores
from voltween.storage.workspaces import PREFIX

FACTS = {"format": 1, "inputs": ["abc", "def"], "options": {"steps": (1, 2)}}
OTHER = FACTS | {"format": 2}


@pytest.fixture(name="store")
def store_fixture(tmp_path):
    return Store(tmp_path / "kept", records="records")


def keep(store, text="new", *, facts=FACTS, names=("moved", "pair/moved"), **options):
    with store.making(facts, **options) as draft:
        for name in names:
            draft.path(name).write_text(text)
        draft.values["seconds"] = 1.5


def texts(finished):
    return [path.read_text("utf-8") for path in finished.paths]


class TestFinding:
    def test_what_was_kept_is_found_by_its_facts_alone(self, store):
        assert store.find(FACTS) is None
        keep(store)
        found = store.find(json.loads(json.dumps(FACTS)))
        assert texts(found) == ["new", "new"]
        assert found.values == {"seconds": 1.5}
        assert sorted(found.files) == ["moved", "pair/moved"]
        assert store.find(OTHER) is None

    def test_a_name_has_work_of_one_kind_of_facts(self, store):
        keep(store, name="method/pair")
        assert store.find(FACTS, name="method/pair")
        assert store.find(FACTS) is None
        assert store.find(OTHER, name="method/pair") is None
        assert store.read("method/pair").facts["format"] == 1

    def test_new_work_replaces_all_files_of_the_earlier_one(self, store):
        keep(store, "old", name="pair", names=("a", "b"))
        (store.folder / "notes").write_text("mine")
        keep(store, name="pair", names=("b", "c"), facts=OTHER)
        assert store.find(FACTS, name="pair") is None
        assert texts(store.find(OTHER, name="pair")) == ["new", "new"]
        assert names_in(store.folder) == ["b", "c", "notes", "records"]

    def test_a_folder_written_whole_becomes_files_of_the_work(self, store):
        keep(store, names=("pair/deep/a", "pair/deep/b"))
        assert names_in(store.folder / "pair" / "deep") == ["a", "b"]

    def test_work_without_files_is_a_record(self, store):
        keep(store, names=())
        assert store.find(FACTS).values == {"seconds": 1.5}

    @pytest.mark.parametrize("change", ["missing", "cut short", "a folder"])
    def test_work_whose_files_are_not_there_is_not_found(self, store, change):
        keep(store)
        path = store.folder / "moved"
        path.unlink()
        if change == "cut short":
            path.write_text("ne")
        if change == "a folder":
            path.mkdir()
        assert store.find(FACTS) is None
        assert store.read(facts_digest(FACTS)).facts["format"] == 1

    @pytest.mark.parametrize(
        "text",
        [
            *("", "[]", '{"facts": 5}', '{"facts": {}, "content": 3}'),
            '{"facts": {"a": 1}, "content": {"x": {"bytes": 1}}}',
            '{"facts": {"a": 1}, "content": {"../x": {"bytes": 1, "sha256": ""}}}',
            '{"facts": {"a": 1}, "content": {"/x": {"bytes": 1, "sha256": ""}}}',
        ],
    )
    def test_a_damaged_record_is_told_and_is_none(self, store, text):
        keep(store, name="pair")
        store.record_path("pair").write_text(text)
        with pytest.warns(SuspiciousInputWarning, match=r"pair\.json: .*: not used"):
            assert store.find(FACTS, name="pair") is None

    def test_facts_that_json_cannot_hold_are_refused(self, store):
        with pytest.raises(ValueError, match="not JSON compliant"):
            keep(store, facts={"a": float("nan")})
        assert names_in(store.folder) == []


class TestFoundOrMade:
    def test_it_is_made_once(self, store):
        made = []

        def make(draft):
            made.append(draft.name)
            draft.path(f"{draft.name}.txt").write_text("new")

        first, again = (store.found_or_made(FACTS, make) for _ in range(2))
        assert first == again
        assert texts(again) == ["new"]
        assert len(made) == 1

    def test_a_changed_bit_is_told_and_made_again(self, store):
        def make(draft):
            draft.path("file").write_text("new")

        store.found_or_made(FACTS, make)
        (store.folder / "file").write_text("nex")
        assert store.find(FACTS)  # of the same size
        with pytest.warns(SuspiciousInputWarning, match="damaged files, made again"):
            again = store.found_or_made(FACTS, make)
        assert texts(again) == ["new"]
        assert store.find(FACTS).is_undamaged()


class TestFailures:
    @pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
    def test_work_that_fails_leaves_the_earlier_one(self, store, error):
        keep(store, "old", name="pair")

        def fail():
            with store.making(OTHER, name="pair") as draft:
                draft.path("moved").write_text("half")
                raise error

        with pytest.raises(error):
            fail()
        assert texts(store.find(FACTS, name="pair")) == ["old", "old"]
        assert not list(store.folder.glob(f"{PREFIX}*"))

    @pytest.mark.parametrize("step", range(5))
    def test_a_disk_that_is_full_at_any_step_leaves_work_or_none(
        self, store, monkeypatch, step
    ):
        keep(store, "old", name="pair")
        steps = []

        def publish(partial, path):
            steps.append(path)
            if len(steps) > step:
                raise DISK_FULL
            real(partial, path)

        real = stores.publish
        with monkeypatch.context() as patch:
            patch.setattr(stores, "publish", publish)
            patch.setattr("voltween.storage.files.publish", publish)
            if step < 4:
                with pytest.raises(OutputError, match="No space left"):
                    keep(store, name="pair")
            else:
                keep(store, name="pair")
        found = store.find(FACTS, name="pair")
        expected = {0: ["old"] * 2, 4: ["new"] * 2}.get(step)
        assert (found and texts(found)) == expected
        keep(store, "newer", name="pair", names=("pair/moved",))
        assert names_in(store.folder) == ["pair", "records"]

    def test_errors_name_the_file_as_the_user_knows_it(self, store):
        with (
            pytest.raises(OutputError, match="No space") as caught,
            store.making(FACTS, name="pair"),
        ):
            raise DISK_FULL
        assert caught.value.about == str(store.record_path("pair"))

    def test_inputs_are_never_replaced_or_deleted(self, store):
        keep(store, "old", name="pair")
        for names in (("moved",), ("other",)):
            with (
                reading([store.folder / "moved"]),
                pytest.raises(InputError, match="the same file as the input") as caught,
            ):
                keep(store, name="pair", names=names)
            assert caught.value.about == str(store.folder / "moved")
        assert texts(store.find(FACTS, name="pair")) == ["old", "old"]

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="a folder that can be made"):
            keep(Store(tmp_path / "file"))


KEEPING = """
import os, signal
from pathlib import Path
from voltween.storage import files
from voltween.storage import store as stores
store, killed_at, steps = stores.Store(Path({folder!r})), {step}, []
def publish(partial, path):
    if len(steps) == killed_at:
        os.kill(os.getpid(), signal.SIGKILL)
    steps.append(path)
    real(partial, path)
real = stores.publish
stores.publish = files.publish = publish
with store.making({{"a": 2}}, name="pair") as draft:
    for name in ("b", "c"):
        draft.path(name).write_text("new")
"""


@pytest.mark.parametrize("step", range(4))
def test_a_writer_killed_between_any_steps_leaves_nothing_half(tmp_path, step):
    store = Store(tmp_path)
    keep(store, "old", facts={"a": 1}, name="pair", names=("a", "b"))
    process = start(code=KEEPING.format(folder=str(tmp_path), step=step))
    assert finish(process)[0] == -signal.SIGKILL
    old = store.find({"a": 1}, name="pair")
    assert (old and texts(old)) == (None if step else ["old", "old"])
    assert store.find({"a": 2}, name="pair") is None
    assert any(name.startswith(PREFIX) for name in names_in(tmp_path))
    keep(store, facts={"a": 2}, name="pair", names=("d",))
    assert names_in(tmp_path) == ["d", "pair.json"]


def test_a_writer_killed_while_it_makes_leaves_the_earlier_work(tmp_path):
    keep(Store(tmp_path), "old", name="pair")
    kill_while_writing(
        tmp_path,
        "from voltween.storage.store import Store",
        "with Store(target).making({'a': 2}, name='pair') as draft:",
        "    draft.path('moved').write_text('half')",
    )
    assert texts(Store(tmp_path).find(FACTS, name="pair")) == ["old", "old"]


TWO = """
from pathlib import Path
from voltween.storage import Store
store = Store(Path({folder!r}))
for number in range(12):
    with store.making({{"writer": {writer}}}, name="pair") as draft:
        for name in ("a", "b"):
            draft.path(name).write_text("{writer}" * 9)
"""


def test_two_writers_of_one_name_never_mix(tmp_path):
    """Their files have one size, so that digests alone tell them apart."""
    codes = [TWO.format(folder=str(tmp_path), writer=writer) for writer in (1, 2)]
    processes = [start(code=code) for code in codes]
    store, found = Store(tmp_path), []
    while any(process.poll() is None for process in processes):
        for writer in (1, 2):
            if store.find({"writer": writer}, name="pair"):
                found.append(writer)
    assert [finish(process)[0] for process in processes] == [0, 0]
    last = store.read("pair")
    assert last.is_undamaged()
    assert texts(last) == [str(last.facts["writer"]) * 9] * 2
    assert names_in(tmp_path) == ["a", "b", "pair.json"]
    assert found


def test_a_full_disk_loses_nothing_and_space_mends_it(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "voltween-test", str(disk)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        store = Store(disk)
        keep(store, "old", name="pair")
        faults = []
        for pages in range(16, 0, -1):  # no room for the draft, then for its record
            try:
                keep(store, "x" * 4096 * pages, name="pair", names=("moved",))
                break
            except OutputError as error:
                faults.append(str(error))
            assert texts(store.find(FACTS, name="pair")) == ["old", "old"]
        assert len(faults) > 2
        assert all("No space left" in fault for fault in faults)
        assert len(texts(store.find(FACTS, name="pair"))) == 1
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_lock_that_a_killed_writer_left_is_no_hindrance(store):
    store.folder.mkdir()
    (store.folder / ".publishing").touch()
    keep(store)
    assert names_in(store.folder) == ["moved", "pair", "records"]


def test_where_files_cannot_be_locked_work_is_kept_too(store, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr("voltween.storage.locks._lock_open", refuse)
    keep(store)
    assert texts(store.find(FACTS)) == ["new", "new"]


def test_everything_is_on_the_disk_before_the_record_is(store, monkeypatch):
    order = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: order.append("fsync"))
    real = os.replace
    monkeypatch.setattr(
        os, "replace", lambda one, other: (order.append(other.name), real(one, other))
    )
    keep(store, name="pair", names=("moved",))
    kept = order[-8:]
    assert kept[kept.index("moved") - 1 : kept.index("moved") + 2] == [
        *("fsync", "moved", "fsync")
    ]
    assert kept[-3:] == ["fsync", "pair.json", "fsync"]
