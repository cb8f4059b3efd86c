"""The arguments and options of a command, read from the fields of its dataclass.

Help, the check of words and shell completion are made from them. Names and values are
those of tyro, which turns the words into the command.
"""

import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tyro.conf import Positional

from voltween.field_texts import field_texts

_POSITIONAL = get_args(Positional[int])[1:]
_SHORT = 40  # characters of choices that are shown beside a name


@dataclass(frozen=True)
class Parameter:
    """An argument (a word in its place) or an option of a command."""

    name: str
    """--fixed-labels; of an argument, the word that stands for it, such as FIXED."""
    kind: Any
    """The type of its value."""
    default: Any
    """`dataclasses.MISSING` if it has to be given."""
    owner: type
    """The dataclass that has it as a field."""
    field: str
    is_argument: bool = False
    metavar: str = ""
    """The word for the value in help, if the type does not give one."""
    has_opposite: bool = False
    """Whether there is --no-NAME beside --NAME."""

    @property
    def is_required(self) -> bool:
        """Whether it has to be given."""
        return self.default is MISSING

    @property
    def is_flag(self) -> bool:
        """Whether it is an option without a value."""
        return self.kind is bool and not self.is_argument

    @property
    def flags(self) -> tuple[str, ...]:
        """The words that are this option; none for an argument."""
        if self.is_argument:
            return ()
        opposite = "--" + ".".join(
            [*self.name[2:].split(".")[:-1], "no-" + self.name[2:].split(".")[-1]]
        )
        if not self.is_flag:
            return (self.name,)
        if self.has_opposite:
            return (self.name, opposite)
        return (opposite,) if self.default is True else (self.name,)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that the type lists, without None."""
        return tuple(str(value) for value in _literals(self.kind))

    @property
    def count(self) -> int | None:
        """The number of values; None for any number."""
        if self.is_flag:
            return 0
        items = _tuple_items(self.kind)
        if items is None:
            return 1
        return None if items[-1] is Ellipsis else len(items)

    @property
    def value_words(self) -> str:
        """The word for the value in help, such as PATH or {fp32,bf16}."""
        return self.metavar or _words_of(self.kind)

    @property
    def text(self) -> str:
        """The text under the field, which states its purpose."""
        return field_texts(self.owner).get(self.field, "")


def parameters_of(
    kind: Callable[..., Any], *, is_grouped: bool = False, group: str = ""
) -> list[Parameter]:
    """The parameters of a command's dataclass, those of its nested ones too.

    Args:
        kind: The dataclass, or a partial of it whose keywords are defaults.
        is_grouped: Whether options of nested dataclasses have no prefix, and flags no
            opposite.
        group: Prefix of the options, such as objective.
    """
    defaults: Mapping[str, Any] = {}
    if isinstance(kind, partial):
        defaults = kind.keywords
        kind = kind.func
    return list(_parameters(kind, defaults, is_grouped, group))


def subcommands_of(kind: Callable[..., Any]) -> dict[str, type]:
    """The dataclasses between which the first word chooses, by name; mostly none."""
    if isinstance(kind, partial):
        return {}
    for hint in get_type_hints(kind).values():
        options = get_args(hint) if _is_union(hint) else ()
        if options and all(map(dataclasses.is_dataclass, options)):
            return {option.__name__.lower(): option for option in options}
    return {}


def _parameters(
    kind: Any, defaults: Mapping[str, Any], is_grouped: bool, group: str
) -> Iterator[Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint, marks = _without_marks(hints[field.name])
        default = defaults.get(field.name, _default(field))
        names = [mark for mark in marks if hasattr(mark, "metavar")]
        if dataclasses.is_dataclass(hint):
            is_bare = is_grouped or any(mark.name == "" for mark in names)
            inner = group if is_bare else _join(group, field.name)
            values = {} if default is MISSING else vars(default)
            yield from _parameters(hint, values, is_grouped, inner)
            continue
        metavar = next((mark.metavar for mark in names if mark.metavar), "")
        is_argument = any(mark in _POSITIONAL for mark in marks)
        option = "--" + _join(group, field.name).replace("_", "-")
        yield Parameter(
            name=metavar if is_argument else option,
            kind=hint,
            default=default,
            owner=kind,
            field=field.name,
            is_argument=is_argument,
            metavar=metavar,
            has_opposite=not is_grouped,
        )


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _without_marks(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type without its marks for tyro, and the marks."""
    if get_origin(hint) is Annotated:
        inner, marks = _without_marks(get_args(hint)[0])
        return inner, (*marks, *hint.__metadata__)
    return hint, ()


def _join(group: str, name: str) -> str:
    return f"{group}.{name}" if group else name


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def members(kind: Any) -> list[Any]:
    """The types of a union without None; the type itself if it is none."""
    if _is_union(kind):
        inner = [part for option in get_args(kind) for part in members(option)]
        return [part for part in inner if part is not type(None)]
    return [_without_marks(kind)[0]]


def _literals(kind: Any) -> list[Any]:
    values = []
    for member in members(kind):
        if get_origin(member) is Literal:
            values += [value for value in get_args(member) if value is not None]
        elif get_origin(member) is tuple:
            values += _literals(get_args(member)[0])
    return values


def _tuple_items(kind: Any) -> tuple[Any, ...] | None:
    """The types in a tuple; None if it is none."""
    items = [get_args(m) for m in members(kind) if get_origin(m) is tuple]
    return items[0] if items else None


def _words_of(kind: Any) -> str:
    """The word for a value of the type."""
    plain = {Path: "PATH", int: "N", float: "X", bool: "{True,False}"}
    words = []
    for member in members(kind):
        if get_origin(member) is tuple:
            items = get_args(member)
            first = _words_of(items[0])
            repeated = " ".join(_words_of(item) for item in items)
            words.append(f"{first} ..." if items[-1] is Ellipsis else repeated)
        elif get_origin(member) is not Literal:
            words.append(plain.get(member, "TEXT"))
    choices = ",".join(map(str, _literals(kind)))
    if not choices or (words and " ..." in words[0]):
        return "|".join(words)
    is_short = len(choices) <= _SHORT and " " not in choices
    return "|".join([f"{{{choices}}}" if is_short else "NAME", *words])
