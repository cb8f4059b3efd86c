"""Errors of the dataclasses of a command while it is made from its words."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any

from voltween.cli.parameters import parameters_of, subcommands_of
from voltween.errors import InputError


@contextmanager
def naming_options(kind: Callable[..., Any], *, is_grouped: bool) -> Iterator[None]:
    """Raises what a dataclass refuses within the block, with the name of its option.

    The parser prints such an error in a frame, and ends the process.

    Args:
        kind: The dataclass of the command; see `parameters_of`.
        is_grouped: See `parameters_of`.

    Raises:
        InputError: If a dataclass has raised it.
    """
    said = StringIO()
    try:
        with redirect_stderr(said):
            yield
    except SystemExit as end:
        if error := _refusal(end):
            raise _named(error, kind, is_grouped=is_grouped) from end
        sys.stderr.write(said.getvalue())
        raise
    except InputError as error:
        raise _named(error, kind, is_grouped=is_grouped) from error
    sys.stderr.write(said.getvalue())


def _refusal(end: BaseException) -> InputError | None:
    """The error of a dataclass for which the parser ends the process."""
    cause: BaseException | None = end
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _named(
    error: InputError, kind: Callable[..., Any], *, is_grouped: bool
) -> InputError:
    """The error about an option as it is given, such as --objective.overlap."""
    if subcommands_of(kind):
        return error
    field = error.about.removeprefix("--").replace("-", "_")
    names = [
        parameter.name
        for parameter in parameters_of(kind, is_grouped=is_grouped)
        if parameter.field == field and not parameter.is_argument
    ]
    changed = error.replace(about=names[0]) if len(names) == 1 else error
    assert isinstance(changed, InputError)  # for mypy
    return changed
