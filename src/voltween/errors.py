"""Errors that a user can solve, as data; the command line shows each as one line."""

from typing import Any


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


class OutputError(VoltweenError, OSError):
    """A file or folder that cannot be written, for no fault of its content."""

    __str__ = VoltweenError.__str__


class MissingPackageError(InputError):
    """An optional package is not installed; the advice says what to install."""


class FitWarning(UserWarning):
    """A model is used on scans that are not like those that it learned from."""


class InverseWarning(UserWarning):
    """An inverse transform that is not exact everywhere; the text says by how much."""


class SuspiciousInputWarning(UserWarning):
    """Input that can be used but that is hardly what was meant."""


class FoldingWarning(UserWarning):
    """A transform that still folds although folds were to be removed."""


class TakeoverWarning(UserWarning):
    """A folder that another process uses, or has left when it was killed."""


def _restore(kind: type[VoltweenError], fields: dict[str, str]) -> VoltweenError:
    return kind(**fields)
