"""The dataclasses of the commands, by name; a command is imported when it is named."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from voltween.cli.catalogue import COMMANDS


def kind_of(name: str, words: list[str]) -> Callable[..., Any]:
    """The dataclass of a command; the defaults of `train` depend on its network.

    Raises:
        InputError: If there is no such command.
    """
    if name not in COMMANDS:
        from voltween.cli.words import advice_on
        from voltween.errors import InputError

        raise InputError(
            expected="a command",
            got=repr(name),
            advice=advice_on(name, COMMANDS) or "see voltween --help",
        )
    parts = name.split("-")
    module = import_module(f"voltween.cli.{'_'.join(parts)}")
    if name == "train":
        return module.command_for(words)
    return getattr(module, "".join(part.capitalize() for part in parts))
