"""Finished work in a folder: found by the facts that it depends on, or made anew.

A piece of work is files and a record of them in JSON: the facts, the size and SHA-256
of every file, and further values. The record is written last, so that a piece is there
as a whole or is made anew, whatever ends its writer. Processes of several machines can
share the folder.
"""

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voltween.errors import InputError, SuspiciousInputWarning, VoltweenError
from voltween.storage.digests import facts_digest
from voltween.storage.files import output_folder, unwritable, whole_file
from voltween.storage.finished import (
    Facts,
    Finished,
    as_json,
    file_facts,
    read_record,
    unfinished_text,
)
from voltween.storage.inputs import check_is_no_input
from voltween.storage.locks import waiting_for
from voltween.storage.workspaces import publish, workspace

_LOCK = ".publishing"


@dataclass(frozen=True)
class Draft:
    """A piece of work that is being made, in a folder that no one else uses."""

    name: str
    folder: Path
    values: dict[str, Any] = field(default_factory=dict)
    """JSON types to be recorded besides the files."""

    def path(self, path: str) -> Path:
        """The place to write what will have this path in the store."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def files(self) -> list[str]:
        """The paths of the files written so far, as they will be in the store."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in files)


@dataclass(frozen=True)
class Store:
    """A folder of finished work.

    A piece of work has a name that can be part of a path, such as `method/pair`. If
    none is given, the digest of its facts is its name.
    """

    folder: Path
    records: str = ""
    """Folder of the records, within the store's."""

    def find(self, facts: Facts, *, name: str | None = None) -> Finished | None:
        """The finished work of these facts; None if it is to be made."""
        finished = self.read(name or facts_digest(facts))
        is_same = finished is not None and finished.facts == json.loads(as_json(facts))
        return finished if finished and is_same and finished.is_whole() else None

    def read(self, name: str) -> Finished | None:
        """The finished work of a name, of whatever facts; its files may be gone.

        None if there is none. A `SuspiciousInputWarning` names a damaged record, which
        counts as missing.
        """
        finished = self._recorded(name)
        return finished if finished and finished.facts else None

    def found_or_made(
        self,
        facts: Facts,
        make: Callable[[Draft], None],
        *,
        name: str | None = None,
    ) -> Finished:
        """The finished work of these facts: found, with all its files read, or made.

        A `SuspiciousInputWarning` tells that a file is damaged; the work is then made
        again.

        Raises:
            OutputError: If the folder cannot be written to.
        """
        finished = self.find(facts, name=name)
        if finished and finished.is_undamaged():
            return finished
        if finished:
            text = f"{self.record_path(finished.name)}: damaged files, made again"
            warnings.warn(text, SuspiciousInputWarning, stacklevel=2)
        with self._draft(name or facts_digest(facts)) as draft:
            make(draft)
            return self._publish(draft, facts)

    @contextmanager
    def making(self, facts: Facts, *, name: str | None = None) -> Iterator[Draft]:
        """Yields a draft; what it holds becomes finished work if all went well.

        It takes the place of earlier work of that name, whose files are deleted.

        Raises:
            InputError: If a file to be replaced is an input of the command.
            OutputError: If the folder cannot be written to.
        """
        with self._draft(name or facts_digest(facts)) as draft:
            yield draft
            self._publish(draft, facts)

    def record_path(self, name: str) -> Path:
        """Path of the record of a piece of work."""
        return self.folder / self.records / f"{name}.json"

    def _recorded(self, name: str) -> Finished | None:
        path = self.record_path(name)
        if not path.exists():
            return None
        try:
            return read_record(path, name, self.folder)
        except InputError as error:
            warnings.warn(f"{error}: not used", SuspiciousInputWarning, stacklevel=3)
            return None

    @contextmanager
    def _draft(self, name: str) -> Iterator[Draft]:
        """A draft in a hidden folder; errors name the files as they would be."""
        room = self.folder
        try:
            with workspace(output_folder(self.folder)) as room:
                yield Draft(name, room)
        except VoltweenError as error:
            about = error.about.replace(str(room), str(self.folder))
            raise error.replace(about=about) from error
        except OSError as error:
            raise unwritable(self.record_path(name), error) from error

    def _publish(self, draft: Draft, facts: Facts) -> Finished:
        """Puts the files in their places, and then the record."""
        files = {path: file_facts(draft.folder / path) for path in draft.files()}
        stored = json.loads(as_json(facts))
        finished = Finished(draft.name, self.folder, stored, files, draft.values)
        record = self.record_path(draft.name)
        output_folder(record.parent)
        ready = draft.folder.parent / "record"
        ready.write_text(finished.text(), encoding="utf-8")
        with waiting_for(self.folder / _LOCK):
            self._replace_files(draft, files)
            publish(ready, record)
        return finished

    def _replace_files(self, draft: Draft, files: dict[str, dict[str, Any]]) -> None:
        """Moves the files in, after those of the earlier work were deleted.

        Meanwhile the record has no facts: of a process that dies here, the next writer
        knows which files are in its way.
        """
        record = self.record_path(draft.name)
        earlier = self._recorded(draft.name)
        taken = {**earlier.files, **files} if earlier else files
        for target in (record, *(self.folder / path for path in taken)):
            check_is_no_input(target)
        if taken:
            with whole_file(record) as partial:
                partial.write_text(unfinished_text(taken), encoding="utf-8")
        for path in earlier.files if earlier else ():
            (self.folder / path).unlink(missing_ok=True)
        for path in files:
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            publish(draft.folder / path, target)
