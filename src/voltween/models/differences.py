"""Differences of two configurations in words, one line per setting."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

_SHOWN = 6


def different_settings(got: Any, expected: Any) -> list[str]:
    """Says in which settings two configurations differ: "training.steps 6, not 8".

    Args:
        got: A dataclass, or its facts as JSON types.
        expected: Another one of the same kind.
    """
    return list(_differences(_facts(got), _facts(expected), ""))


def in_one_line(texts: Sequence[str]) -> str:
    """The first differences, and the number of the others."""
    more = len(texts) - _SHOWN
    return "; ".join([*texts[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _in_words(value: Any) -> str:
    """The value of a setting as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_in_words, value))}]"
    return str(value)


def _facts(value: Any) -> Any:
    is_configuration = is_dataclass(value) and not isinstance(value, type)
    return asdict(value) if is_configuration else value


def _differences(got: Any, expected: Any, key: str) -> Iterator[str]:
    if isinstance(got, Mapping) and isinstance(expected, Mapping):
        for name in dict.fromkeys([*expected, *got]):
            inner = f"{key}.{name}" if key else str(name)
            yield from _differences(got.get(name), expected.get(name), inner)
    elif _is_names(got) and _is_names(expected):
        yield from _different_names(got, expected, key)
    elif _plain(got) != _plain(expected):
        yield f"{key} {_in_words(got)}, not {_in_words(expected)}"


def _different_names(
    got: Sequence[str], expected: Sequence[str], key: str
) -> Iterator[str]:
    """Names that only one of two lists has, so that long lists stay readable."""
    without = [name for name in expected if name not in got]
    more = [name for name in got if name not in expected]
    if without:
        yield f"{key} without {', '.join(without[:_SHOWN])}"
    if more:
        yield f"{key} with {', '.join(more[:_SHOWN])}"
    if not without and not more and list(got) != list(expected):
        yield f"{key} in another order"


def _is_names(value: Any) -> bool:
    is_list = isinstance(value, list | tuple)
    return is_list and all(isinstance(item, str) for item in value)


def _plain(value: Any) -> Any:
    """Lists as tuples, as the same setting is either, in a file or in memory."""
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
