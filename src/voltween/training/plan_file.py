"""Training plans on disk: TOML that mirrors the dataclasses, commented by their text.

New fields of the dataclasses need no change here.
"""

import os
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from inspect import cleandoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import tomlkit
from docstring_parser import parse_from_object

from voltween.errors import InputError
from voltween.files import PathLike, existing_file, naming, whole_file
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.training.recipe import Recipe, TrainConfig

_WIDTH = 88
_REPEATED = "cascade.shape"  # is preprocessing.shape, and said there alone


@dataclass(frozen=True)
class TrainingPlan:
    """All that training needs to know.

    Raises:
        InputError: If the network's grid is not the canonical grid.
    """

    manifest: Path
    """CSV of the cases; relative paths are relative to this file's folder."""
    preprocessing: Preprocessing
    cascade: CascadeConfig
    training: TrainConfig = field(default_factory=TrainConfig)

    @property
    def recipe(self) -> Recipe:
        """All of it but where the cases are."""
        return Recipe(self.preprocessing, self.cascade, self.training)

    def __post_init__(self) -> None:
        Recipe(self.preprocessing, self.cascade, self.training)  # do they fit?


def read_plan(path: PathLike) -> TrainingPlan:
    """The plan of a TOML file; keys that are missing have their defaults.

    Raises:
        InputError: If there is no such file, it is not TOML, a key is unknown or
            missing, or a value has another type than expected or is out of range.
    """
    path = existing_file(Path(path))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a plan in TOML, got: {error}") from error
    with naming(path):
        plan: TrainingPlan = _converted(_with_shape(values), TrainingPlan, "")
    return replace(plan, manifest=(path.parent / plan.manifest).resolve())


def write_plan(
    plan: TrainingPlan,
    path: PathLike,
    *,
    heading: Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Write a plan as commented TOML; returns the path.

    `heading` are lines for the top of the file; `notes` are reasons by dotted key,
    such as "preprocessing.shape", which are put before that key.

    Raises:
        InputError: If the file cannot be written.
    """
    path = Path(path)
    portable = replace(plan, manifest=_relative(plan.manifest, path.parent))
    lines = [*_comment("\n".join(heading)), *_section(portable, "", notes or {})]
    with whole_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _relative(path: Path, folder: Path) -> Path:
    """The path as seen from the folder, where there is a way."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve()))
    except ValueError:  # another drive
        return path.resolve()


def _section(value: Any, name: str, notes: Mapping[str, str]) -> Iterator[str]:
    """Lines of a dataclass: its own keys, then its dataclasses as sections."""
    texts = {
        part.arg_name: cleandoc(part.description or "")
        for part in parse_from_object(type(value)).params
    }
    inner = [f for f in fields(value) if is_dataclass(getattr(value, f.name))]
    for item in fields(value):
        key = _joined(name, item.name)
        if item not in inner and key != _REPEATED:
            yield ""
            yield from _comment(texts.get(item.name))
            yield from _comment(notes.get(key), mark="-> ")
            yield _assignment(item, getattr(value, item.name))
    for item in inner:
        key = _joined(name, item.name)
        yield from ("", "")
        yield from _comment(texts.get(item.name))
        yield from _comment(notes.get(key), mark="-> ")
        yield f"[{key}]"
        yield from _section(getattr(value, item.name), key, notes)


def _assignment(item: "Field[Any]", value: Any) -> str:
    if value is None:
        return f"# {item.name} =   # not set"
    plain = value.as_posix() if isinstance(value, Path) else value
    plain = list(plain) if isinstance(plain, tuple) else plain
    return f"{item.name} = {tomlkit.item(plain).as_string()}"


def _comment(text: str | None, *, mark: str = "") -> list[str]:
    lines = (text or "").strip().splitlines()
    wrapped = [
        part
        for line in lines
        for part in textwrap.wrap(line, _WIDTH - len("# " + mark)) or [""]
    ]
    marks = [mark, *[" " * len(mark)] * len(wrapped)]
    return [f"# {m}{part}".rstrip() for m, part in zip(marks, wrapped, strict=False)]


def _with_shape(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the cascade's shape filled in from the preprocessing's."""
    preprocessing, cascade = (
        values.get(name, {}) for name in ("preprocessing", "cascade")
    )
    if not isinstance(preprocessing, dict) or not isinstance(cascade, dict):
        return values  # will be refused with the right words
    if "shape" in cascade:
        raise InputError(
            f"{_REPEATED}: expected no such key, for preprocessing.shape is the shape "
            "of the network's grid: remove it"
        )
    filled = cascade | {"shape": preprocessing.get("shape")}
    return values | {"cascade": filled}


def _converted(value: Any, kind: Any, key: str) -> Any:
    """A value of TOML as the type that a dataclass says its field has.

    By hand, as libraries that do this take true for 1, or say what is wrong but not
    where.
    """
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _any_of(value, get_args(kind), key)
    if origin is tuple and isinstance(value, list):
        return _tuple(value, kind, key)
    if is_dataclass(kind) and isinstance(value, dict):
        return _dataclass(value, kind, key)
    if (kind, type(value)) in ((float, int), (Path, str)):
        return kind(value)
    is_choice = origin is Literal and value in get_args(kind)
    if type(value) is not kind and not is_choice:
        raise InputError(f"{key}: expected {_in_words(kind)}, got {value!r}")
    return value


def _any_of(value: Any, kinds: tuple[Any, ...], key: str) -> Any:
    """The value as the first type that it fits; None is said by leaving the key out."""
    errors = []
    for kind in kinds:
        if kind is not NoneType:
            try:
                return _converted(value, kind, key)
            except InputError as error:
                errors.append(error)
    raise errors[-1]


def _dataclass(values: dict[str, Any], kind: Any, key: str) -> Any:
    names = [item.name for item in fields(kind)]
    if unknown := [_joined(key, name) for name in values if name not in names]:
        raise InputError(
            f"{', '.join(unknown)}: unknown; {f'[{key}]' if key else 'the file'} may "
            f"have {', '.join(names)}"
        )
    needed = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING]
    if missing := [_joined(key, name) for name in needed if name not in values]:
        raise InputError(f"{', '.join(missing)}: missing, and has no default")
    hints = get_type_hints(kind)
    converted = {
        name: _converted(values[name], hints[name], _joined(key, name))
        for name in names
        if name in values
    }
    with naming(f"[{key}]") if key else nullcontext():
        return kind(**converted)


def _tuple(values: list[Any], kind: Any, key: str) -> tuple[Any, ...]:
    kinds = get_args(kind)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(values)
    if len(kinds) != len(values):
        raise InputError(f"{key}: expected {_in_words(kind)}, got {values!r}")
    return tuple(
        _converted(value, inner, f"{key}[{n}]")
        for n, (value, inner) in enumerate(zip(values, kinds, strict=True))
    )


def _in_words(kind: Any) -> str:
    """A type as people call it who write TOML."""
    if is_dataclass(kind):
        return "a section"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        count = "any number" if inner[-1] is Ellipsis else str(len(inner))
        return f"a list of {count} (each {_in_words(inner[0])})"
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(kind, "text")


def _joined(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name
