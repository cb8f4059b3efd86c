"""The help of a command, made from the fields of its dataclass and their texts."""

import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from inspect import cleandoc, getdoc
from typing import Any

from voltween.cli.catalogue import COMMANDS, WITHOUT_PREFIXES
from voltween.cli.common import COMMON
from voltween.cli.examples import EXAMPLES
from voltween.cli.option_groups import in_groups
from voltween.cli.parameters import Parameter, parameters_of, subcommands_of

_WIDEST = 100  # columns; longer lines are hard to read
_INDENT = 2
_COLUMN = 24
_MOST = 0.7  # share of a dataclass's options in a group that its text describes


def help_of(command: str, kind: Callable[..., Any], words: Sequence[str]) -> str:
    """The help of a command, as wide as the terminal, up to 100 columns.

    Args:
        command: Its name.
        kind: Its dataclass, or a partial of it with further defaults.
        words: The words after its name; the first may choose one of its subcommands.
    """
    subcommands = subcommands_of(kind)
    chosen = next((word for word in words if word in subcommands), None)
    if chosen:
        return _page(f"{command} {chosen}", subcommands[chosen])
    if subcommands:
        return _list_of(command, kind, subcommands)
    return _page(command, kind)


def _page(name: str, kind: Callable[..., Any]) -> str:
    command = name.split()[0]
    parameters = parameters_of(kind, is_grouped=command in WITHOUT_PREFIXES)
    groups = in_groups(command, parameters)
    arguments = [p for p in parameters if p.is_argument]
    is_plain = sum(map(bool, groups.values())) == 1
    lines = [*_usage(name, parameters), "", *_description(kind)]
    lines += _examples(name)
    if arguments:
        lines += ["", _heading("Arguments"), *_rows(map(_row, arguments))]
    for title, options in groups.items():
        if options:
            heading = "Options" if is_plain else f"{title} options"
            lines += ["", _heading(heading), *_group_text(options, parameters)]
            lines += _rows(map(_row, options))
    own = {flag for p in parameters for flag in p.flags}
    common = [row for row in COMMON if row[0].split()[0] not in own]
    lines += ["", _heading("Options of every command"), *_rows(common)]
    return "\n".join(lines)


def _group_text(
    options: Sequence[Parameter], parameters: Sequence[Parameter]
) -> list[str]:
    """The first sentence of the dataclass that has most options of a group."""
    owner = options[0].owner
    own = [p for p in parameters if p.owner is owner]
    if own == parameters or sum(p in own for p in options) < _MOST * len(own):
        return []
    paragraphs = _paragraphs(owner)
    texts = [text for text in paragraphs if not text.startswith("Raises:")]
    indent = " " * _INDENT
    return [f"{indent}{line}" for text in texts for line in _wrap(text, _INDENT)]


def _list_of(
    command: str, kind: Callable[..., Any], subcommands: dict[str, type]
) -> str:
    rows = [(name, _summary(inner)) for name, inner in subcommands.items()]
    lines = [f"Usage: voltween {command} KIND ...", "", *_description(kind)]
    lines += [*_examples(command), "", _heading("Kinds"), *_rows(rows), ""]
    return "\n".join([*lines, f"See voltween {command} KIND --help."])


def _usage(name: str, parameters: Sequence[Parameter]) -> list[str]:
    words = [
        p.name if p.is_required else f"[{p.name}]" for p in parameters if p.is_argument
    ]
    words += [
        f"{p.name} {p.value_words}"
        for p in parameters
        if p.is_required and not p.is_argument
    ]
    line = " ".join(["Usage: voltween", name, *words, "[options]"])
    return textwrap.wrap(
        line, _width(), subsequent_indent=" " * 16, break_on_hyphens=False
    )


def _description(kind: Callable[..., Any]) -> list[str]:
    owner = kind.func if isinstance(kind, partial) else kind
    wrapped = [_wrap(paragraph) for paragraph in _paragraphs(owner)]
    return [line for lines in wrapped for line in ("", *lines)][1:]


def _paragraphs(kind: Any) -> list[str]:
    """The paragraphs of a docstring."""
    return re.split(r"\n\s*\n", cleandoc(getdoc(kind) or ""))


def _summary(kind: type) -> str:
    return " ".join(_paragraphs(kind)[0].split())


def _examples(name: str) -> list[str]:
    if name not in COMMANDS:
        return []
    return ["", _heading("Examples"), *(f"  {line}" for line in EXAMPLES[name])]


def _row(parameter: Parameter) -> tuple[str, str]:
    """The left and the right part of a parameter's line."""
    if parameter.is_argument:
        return parameter.name, _text(parameter)
    if parameter.is_flag:
        return ", ".join(parameter.flags), _text(parameter)
    return f"{parameter.name} {parameter.value_words}", _text(parameter)


def _text(parameter: Parameter) -> str:
    parts = [" ".join(parameter.text.split())]
    if parameter.choices and "NAME" in parameter.value_words:
        parts.append(f"One of: {', '.join(parameter.choices)}.")
    if parameter.is_required and not parameter.is_argument:
        parts.append("(required)")
    elif shown := _default(parameter):
        parts.append(f"(default: {shown})")
    return " ".join(parts)


def _default(parameter: Parameter) -> str:
    """The default in words; "" where there is none, and the text says what holds."""
    value = parameter.default
    if value is None or value is False or value in ("", ()) or parameter.is_required:
        return ""
    if value is True:
        return parameter.name
    values = value if isinstance(value, tuple) else (value,)
    return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)


def _rows(rows: Iterable[tuple[str, str]]) -> list[str]:
    """The lines of rows: names at the left, their texts beside or below them."""
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(
            text, _width() - _COLUMN, break_on_hyphens=False, break_long_words=False
        )
        left = " " * _INDENT + name
        if len(left) > _COLUMN - 2 or not wrapped:
            lines += _wrap_name(left)
            left = ""
        first, rest = wrapped[:1], wrapped[1:]
        lines += [f"{left:{_COLUMN}}{line}" for line in first]
        lines += [" " * _COLUMN + line for line in rest]
    return lines


def _wrap_name(name: str) -> list[str]:
    indent = " " * _INDENT * 3
    return textwrap.wrap(
        name, _width(), subsequent_indent=indent, break_on_hyphens=False
    )


def _wrap(paragraph: str, indent: int = 0) -> list[str]:
    text = " ".join(paragraph.split())
    return textwrap.wrap(
        text, _width() - indent, break_on_hyphens=False, break_long_words=False
    )


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST)


def _heading(text: str) -> str:
    """A heading, bold on a terminal."""
    return f"\x1b[1m{text}:\x1b[0m" if sys.stdout.isatty() else f"{text}:"
