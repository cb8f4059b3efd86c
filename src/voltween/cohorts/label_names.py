"""Numbers of labels that are the same for all cases whose label files state names."""

from collections.abc import Iterable
from pathlib import Path

from voltween import io
from voltween.errors import InputError
from voltween.io import NamedLabels


class LabelNumbers:
    """The labels of several files, with one number for all structures of one name.

    Numbers depend on the names in all files. The heads of the files are read when the
    labels of one of them are asked for, and then only once: many commands never ask. A
    file that is missing or damaged counts as one without names.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = tuple(dict.fromkeys(files))
        self._named: dict[Path, NamedLabels] | None = None

    def of(self, file: Path) -> NamedLabels:
        """The labels of a file; none if it states no names."""
        if self._named is None:
            named = io.number_alike([_names(path) for path in self._files])
            self._named = dict(zip(self._files, named, strict=True))
        return self._named.get(file, ())

    def alone(self, file: Path) -> "LabelNumbers":
        """The labels of one file, as they are among all: for another process."""
        numbers = LabelNumbers([file])
        numbers._named = {file: self.of(file)}
        return numbers


def _names(path: Path) -> dict[int, str]:
    try:
        return io.structure_names(path)
    except InputError:  # whoever reads the labels is told
        return {}
