"""The texts under the fields of dataclasses: help, comments of plans, schemas."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from inspect import cleandoc
from types import MappingProxyType


@cache
def field_texts(kind: type) -> Mapping[str, str]:
    """The texts by the names of the fields, those of inherited fields, too."""
    from docstring_parser import parse_from_object  # reads the source file

    texts = {
        part.arg_name: cleandoc(part.description or "")
        for base in reversed(kind.__mro__)
        if is_dataclass(base) or hasattr(base, "_fields")
        for part in parse_from_object(base).params
    }
    return MappingProxyType(texts)
