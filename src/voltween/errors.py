"""Errors that a user can solve, as data; the command line shows each as one line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_Number = int | float


class VoltweenError(Exception):
    """A problem that a user can solve, and the root of all such errors.

    Its text is one line: "about: expected ..., got ...: advice".
    """

    def __init__(
        self, *, expected: str, got: object, about: object = "", advice: str = ""
    ) -> None:
        self.about = str(about)
        """The file, option or value that the error is about; empty until named."""
        self.expected = expected
        """A description of valid input."""
        self.got = str(got)
        """A description of the actual input."""
        self.advice = advice
        """Advice on how to solve it, if that does not follow from the rest."""
        super().__init__(str(self))

    def __str__(self) -> str:
        fault = f"expected {self.expected}, got {self.got}"
        return ": ".join(part for part in (self.about, fault, self.advice) if part)

    def add_context(self, about: object) -> "VoltweenError":
        """The same error about a part of something, which is named before the part."""
        both = f"{about}: {self.about}" if self.about else about
        return self.replace(about=both)

    def replace(self, **changes: object) -> "VoltweenError":
        """The same error with some of its fields changed."""
        return type(self)(**{**self._fields(), **changes})  # type: ignore[arg-type]

    def __reduce__(self) -> tuple[Any, ...]:  # errors cross processes
        return _restore, (type(self), self._fields())

    def _fields(self) -> dict[str, str]:
        names = ("about", "expected", "got", "advice")
        return {name: getattr(self, name) for name in names}


class InputError(VoltweenError, ValueError):
    """A file, option or image that Voltween cannot work with."""


def check_range(name: str, value: _Number | None, low: _Number, high: _Number) -> None:
    """Checks that a number lies in a range; None passes.

    Raises:
        InputError: If it is below, above, or NaN. The error is about the name.
    """
    if value is None or low <= value <= high:
        return
    expected = f"at least {low:g}" if value < low else f"at most {high:g}"
    raise InputError(about=name, expected=expected, got=value)


def check_type(
    value: object,
    kinds: type | tuple[type, ...],
    *,
    about: str,
    expected: str,
    advice: str = "",
) -> None:
    """Checks that an argument of a function for users is of a type.

    Raises:
        InputError: If it is of another type, which the error names.
    """
    if not isinstance(value, kinds):
        got = type(value).__name__
        raise InputError(about=about, expected=expected, got=got, advice=advice)


def check_is_path(path: object) -> None:
    """Checks that an argument can be the path of a file or folder.

    Raises:
        InputError: If it is no text and no path.
    """
    check_type(path, (str, os.PathLike), about="path", expected="a path or its text")


class OutputError(VoltweenError, OSError):
    """A file or folder that cannot be written, for no fault of its content."""

    __str__ = VoltweenError.__str__


class MissingPackageError(InputError):
    """An optional package is not installed; the advice says what to install."""


class FailedTasksError(InputError):
    """Some of many tasks failed, and the others are done: the exit code is 1."""


class MemoryShortageError(InputError):
    """Work that needs more memory than the machine has left."""


class FitWarning(UserWarning):
    """A model is used on scans that are not like those that it learned from."""


class InverseWarning(UserWarning):
    """An inverse transform that is not exact everywhere; the text says by how much."""


class SuspiciousInputWarning(UserWarning):
    """Input that can be used but that is hardly what was meant."""


class AssumptionWarning(UserWarning):
    """Something that is needed is not stated; the text says what is assumed."""


class FoldingWarning(UserWarning):
    """A transform that still folds although folds were to be removed."""


class RejectionWarning(UserWarning):
    """A refinement that was left out, as the scans agree less after it."""


class SlowOperationsWarning(UserWarning):
    """The compiled operations are missing; the text says what to install."""


class TakeoverWarning(UserWarning):
    """A folder that another process uses, or has left when it was killed."""


@contextmanager
def reporting_memory_shortage(about: object = "") -> Iterator[None]:
    """Turns every error of memory that cannot be had into `MemoryShortageError`.

    Args:
        about: The work, such as the name of a case.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # RuntimeError: of PyTorch and ITK
        lines = str(error).splitlines() or [type(error).__name__]
        is_shortage = any(words in str(error).lower() for words in _SHORTAGES)
        if not isinstance(error, MemoryError) and not is_shortage:
            raise
        raise MemoryShortageError(
            about=about,
            expected="enough memory",
            got=f"too little ({lines[0]})",
            advice="end other programs, or take smaller scans or another machine",
        ) from error


_SHORTAGES = (
    *("out of memory", "can't allocate memory", "failed to allocate memory"),
    *("bad allocation", "bad_alloc"),
)


def _restore(kind: type[VoltweenError], fields: dict[str, str]) -> VoltweenError:
    return kind(**fields)
