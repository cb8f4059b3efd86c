"""Checks the words of a command line, and says in one line what is wrong with them."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from voltween.cli.parameters import (
    Parameter,
    members,
    parameters_of,
    subcommands_of,
)
from voltween.errors import InputError

_NUMBER = re.compile(r"-(\d|\.|inf$|infinity$|nan$)", re.IGNORECASE)
_ALIKE = 0.6  # as in the standard library
_PROGRAM = "voltween "  # whose commands are named without it


def check_command(
    name: str, kind: Callable[..., Any], words: Sequence[str], *, is_grouped: bool
) -> None:
    """Checks the words of a command, of which the first may choose a subcommand.

    Args:
        name: The command's name.
        kind: Its dataclass; see `parameters_of`.
        words: The words after its name.
        is_grouped: See `parameters_of`.

    Raises:
        InputError: As `check_words`, or if there is no such subcommand.
    """
    command = name
    if subcommands := subcommands_of(kind):
        first = words[0] if words else ""
        if first not in subcommands:
            raise InputError(
                about=command,
                expected=f"one of {', '.join(subcommands)}",
                got=repr(first) if first else "none",
                advice=advice_on(first, subcommands),
            )
        kind, words, command = subcommands[first], words[1:], f"{command} {first}"
    parameters = parameters_of(kind, is_grouped=is_grouped)
    check_words(words, parameters, program=f"{_PROGRAM}{command}")


def check_words(
    words: Sequence[str], parameters: Sequence[Parameter], *, program: str
) -> None:
    """Checks that a command line is one of the command's: its names, numbers, types.

    Args:
        words: The words after the program.
        parameters: The command's arguments and options.
        program: The program and its command, such as voltween register, for errors.

    Raises:
        InputError: If an option is unknown, one with several values is given twice, a
            value is missing or of another type, or an argument is missing or one too
            many.
    """
    options = {flag: p for p in parameters for flag in p.flags}
    arguments: list[str] = []
    given: set[str] = set()
    missing = {p.name: p for p in parameters if p.is_required}
    rest = deque(words)
    while rest:
        word = rest.popleft()
        if word == "--":
            arguments += rest
            break
        if not is_option(word):
            arguments.append(word)
            continue
        name, equals, value = word.partition("=")
        parameter = _option(name, options, program)
        _check_is_new(parameter, name, given)
        missing.pop(parameter.name, None)
        values = [value] if equals else _take(rest, parameter.count)
        _check_values(parameter, name, values)
    _check_arguments(arguments, parameters, missing, program)


def is_option(word: str) -> bool:
    """Whether a word names an option, and is not a negative number or a dash."""
    return (
        word.startswith("-")
        and not _NUMBER.match(word)
        and word.lstrip("-")[:1].isalpha()
    )


def advice_on(word: str, names: Iterable[str]) -> str:
    """The question whether a similar name was meant; empty if there is none."""
    names = list(names)
    longer = [name for name in names if len(word) > 3 and name.startswith(word)]
    inside = [name for name in names if len(word) > 5 and word.strip("-") in name]
    close = get_close_matches(word, names, n=1, cutoff=_ALIKE)
    best = [*longer, *close, *inside][:1]
    return f"did you mean {best[0]}?" if best else ""


def _option(name: str, options: dict[str, Parameter], program: str) -> Parameter:
    """The option of a name, in which _ stands for - as well."""
    parameter = options.get(name.replace("_", "-"))
    if parameter is None:
        raise InputError(
            about=program.removeprefix(_PROGRAM),
            expected="one of its options",
            got=name,
            advice=advice_on(name, options) or f"see {program} --help",
        )
    return parameter


def _check_is_new(parameter: Parameter, name: str, given: set[str]) -> None:
    """Checks that an option with several values is given once.

    Of two, the last one counts, as with the options of other programs. Those who repeat
    one for each of its values want all of them.
    """
    if parameter.name in given and parameter.count not in (0, 1):
        raise InputError(
            about=name,
            expected="the option once, with all its values",
            got="the option twice",
            advice=f"{name} {parameter.value_words}",
        )
    given.add(parameter.name)


def _take(rest: deque[str], count: int | None) -> list[str]:
    """Takes that many values, or all up to the next option."""
    values: list[str] = []
    while rest and len(values) < (inf if count is None else count):
        if is_option(rest[0]) or rest[0] == "--":
            break
        if rest[0] == "None" and not values:  # one word, for any number of values
            return [rest.popleft()]
        values.append(rest.popleft())
    return values


def _check_values(parameter: Parameter, name: str, values: Sequence[str]) -> None:
    count = parameter.count
    if values == ["None"]:
        return
    if count is not None and len(values) != count:
        number = "a value" if count == 1 else f"{count} values"
        raise InputError(
            about=name,
            expected=f"{number} ({parameter.value_words})" if count else "no value",
            got=" ".join(values) or "none",
        )
    for value in values:
        _check_value(parameter, name, value)


def _check_value(parameter: Parameter, name: str, value: str) -> None:
    if not any(_fits(value, member) for member in members(parameter.kind)):
        raise InputError(
            about=name,
            expected=expected(parameter.kind),
            got=repr(value),
            advice=advice_on(value, parameter.choices),
        )


def expected(kind: Any) -> str:
    """A value of the type in words, such as "a whole number"."""
    plain = {int: "a whole number", float: "a number", bool: "True or False"}
    parts: list[str] = []
    for member in members(kind):
        if get_origin(member) is Literal:
            parts += map(str, get_args(member))
        elif get_origin(member) is tuple:
            parts.append(expected(get_args(member)[0]))
        else:
            parts.append(plain.get(member, "a path" if member is Path else "a text"))
    return " or ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def _fits(value: str, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in map(str, get_args(kind))
    if get_origin(kind) is tuple:
        return any(_fits(value, member) for member in members(get_args(kind)[0]))
    if kind is bool:
        return value in ("True", "False")
    if kind in (int, float):
        try:
            kind(value)
        except ValueError:
            return False
    return kind is not Path or value != ""  # which would be the working folder


def _check_arguments(
    values: Sequence[str],
    parameters: Sequence[Parameter],
    missing: dict[str, Parameter],
    program: str,
) -> None:
    """Checks the number of arguments and their types, and that nothing is missing."""
    arguments = [p for p in parameters if p.is_argument]
    is_open = any(p.count is None for p in arguments)
    if len(values) > len(arguments) and not is_open:
        names = " ".join(p.name for p in arguments) or "options only"
        raise InputError(
            about=program.removeprefix(_PROGRAM),
            expected=names,
            got=f"{values[len(arguments)]!r} as well",
            advice=f"see {program} --help",
        )
    for parameter, value in zip(arguments, values, strict=False):
        missing.pop(parameter.name, None)
        _check_value(parameter, parameter.name, value)
    if missing:
        raise InputError(
            about=program.removeprefix(_PROGRAM),
            expected=" and ".join(
                p.name if p.is_argument else f"{p.name} {p.value_words}"
                for p in missing.values()
            ),
            got="neither" if len(missing) == 2 else "none",
            advice=f"see {program} --help",
        )
