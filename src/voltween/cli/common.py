"""The options that every command has: what it says, where, and in which form."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from voltween.errors import InputError

COMMON = (
    ("-h, --help", "Show this help."),
    ("--quiet", "Show warnings and errors only."),
    (
        "--json",
        "Write the result to the standard output as JSON, and nothing else; what is "
        "shown otherwise goes to the error output.",
    ),
    ("--log PATH", "Append what is shown, and when, to a text file."),
)
"""Names and texts of these options for help."""

_JSON, _NO_MORE = "--json", "--"
_FLAGS = {"--quiet": "is_quiet", _JSON: "is_json"}
_LOG = "--log"
_WITH_OWN_LOG = {"jacobian"}  # whose --log is the logarithm


@dataclass(frozen=True)
class CommonOptions:
    """The options of every command, as they were given."""

    is_quiet: bool = False
    is_json: bool = False
    log: Path | None = None


def wants_json(words: Sequence[str]) -> bool:
    """Whether --json is among the options in the words of a command line."""
    return _JSON in takewhile(lambda word: word != _NO_MORE, words)


def split_words(command: str, words: Sequence[str]) -> tuple[CommonOptions, list[str]]:
    """Takes the options of every command out of the words of one.

    Args:
        command: The command's name.
        words: The words after it.

    Raises:
        InputError: If --log has no file.
    """
    flags, log = dict.fromkeys(_FLAGS.values(), False), None
    rest, left = list(words), []
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == _NO_MORE:
            left += [word, *rest]
            break
        if word in _FLAGS:
            flags[_FLAGS[word]] = True
        elif name == _LOG and command not in _WITH_OWN_LOG:
            if not equals and (not rest or rest[0].startswith("-")):
                raise InputError(about=_LOG, expected="a file", got="none")
            log = Path(value if equals else rest.pop(0))
        else:
            left.append(word)
    return CommonOptions(**flags, log=log), left
