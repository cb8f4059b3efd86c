"""The checked way from the values of a file (JSON, TOML) to a dataclass.

Written by hand because libraries for this accept true for 1, or say that a value is
wrong without saying where.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from voltween.errors import InputError
from voltween.storage import naming

T = TypeVar("T")

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "text",
}


def dataclass_from_facts(kind: type[T], facts: Mapping[str, Any], key: str = "") -> T:
    """Builds a dataclass from facts; fields without a fact keep their defaults.

    Values are converted to the annotated types as far as the file format requires:
    lists become tuples, tables become dataclasses, whole numbers serve as numbers, and
    text serves as a path. New fields of a dataclass need no change here.

    Args:
        kind: The dataclass.
        facts: Its values by the names of the fields.
        key: Dotted key of the facts within their file, such as "training.objective";
            empty for the whole file.

    Raises:
        InputError: If a key is unknown or missing, a value has another type than its
            field, or the dataclass refuses its values. The error is about the dotted
            key.
    """
    names = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    _check_keys(kind, facts, key)
    hints = get_type_hints(kind)
    values = {
        name: _convert(facts[name], hints[name], _join(key, name))
        for name in names
        if name in facts
    }
    with naming(f"[{key}]") if key else nullcontext():
        return kind(**values)


def _check_keys(kind: Any, facts: Mapping[str, Any], key: str) -> None:
    names = [item.name for item in fields(kind)]
    if unknown := [_join(key, name) for name in facts if name not in names]:
        raise InputError(
            about=", ".join(unknown),
            expected=f"one of the keys {', '.join(names)}",
            got="an unknown key",
        )
    needed = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING]
    if missing := [_join(key, name) for name in needed if name not in facts]:
        raise InputError(
            about=", ".join(missing),
            expected="a value, as there is no default",
            got="no such key",
        )


def _convert(value: Any, kind: Any, key: str) -> Any:
    """The value as the annotated type of its field."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _convert_to_any(value, get_args(kind), key)
    if origin is tuple and isinstance(value, list | tuple):
        return _convert_items(value, kind, key)
    if origin is Mapping and isinstance(value, dict):
        inner = get_args(kind)[1]
        return {n: _convert(v, inner, _join(key, n)) for n, v in value.items()}
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return dataclass_from_facts(kind, value, key)
    if (kind, type(value)) in ((float, int), (Path, str)):
        return kind(value)
    if not _fits(value, kind):
        raise InputError(about=key, expected=_in_words(kind), got=repr(value))
    return value


def _fits(value: Any, kind: Any) -> bool:
    """True where the value has the type; facts of a dataclass in memory have paths."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    return isinstance(value, Path) if kind is Path else type(value) is kind


def _convert_to_any(value: Any, kinds: tuple[Any, ...], key: str) -> Any:
    """The value as the first type that it fits."""
    if value is None and NoneType in kinds:  # JSON's null; TOML leaves the key out
        return None
    errors = []
    for kind in kinds:
        if kind is not NoneType:
            try:
                return _convert(value, kind, key)
            except InputError as error:
                errors.append(error)
    raise errors[-1]


def _convert_items(values: Sequence[Any], kind: Any, key: str) -> tuple[Any, ...]:
    kinds = get_args(kind)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(values)
    if len(kinds) != len(values):
        raise InputError(about=key, expected=_in_words(kind), got=repr(values))
    return tuple(
        _convert(value, inner, f"{key}[{n}]")
        for n, (value, inner) in enumerate(zip(values, kinds, strict=True))
    )


def _in_words(kind: Any) -> str:
    """A type in the words of people who edit such files."""
    if is_dataclass(kind) or get_origin(kind) is Mapping:
        return "a section"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        count = "any number" if inner[-1] is Ellipsis else str(len(inner))
        return f"a list of {count} (each {_in_words(inner[0])})"
    return _WORDS.get(kind, str(kind))


def _join(section: str, name: str) -> str:
    """The dotted key of a name within a section; the name itself at the top."""
    return f"{section}.{name}" if section else name
