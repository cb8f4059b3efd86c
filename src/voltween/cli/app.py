"""The entry point `voltween`: finds the command, reads its options, runs it.

A command is imported when it is named, so that help and version take no time.
"""

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from voltween import __version__
from voltween.cli import invocation
from voltween.errors import InputError, VoltweenError, reporting_memory_shortage
from voltween.escaping import terminal
from voltween.inputs import reading

# The module of this package that holds each command, with the first line of its help.
COMMANDS = {
    "register": "Register MOVING to FIXED and write the results to a folder.",
    "apply": "Apply a transform to an image, a label map or points.",
    "jacobian": "Write a map of the volume change of a transform (Jacobian).",
    "align": "Align all scans of a manifest to one of them with ANTs.",
    "prepare": "Turn a downloaded cohort into images, labels and a manifest.",
    "split": "Divide the cases of a manifest into train, val and test, by subject.",
    "join": "Join the manifests of several cohorts to one, which names the cohorts.",
    "plan": "Inspect the training scans of a manifest and write training settings.",
    "train": "Train a network on the `train` cases of a cohort.",
    "evaluate": "Measure a model on pairs of a cohort: overlap, distances, folding.",
    "compare": "Measure models and other tools on the same pairs of a cohort.",
    "experiment": "Run a table of the paper on a cohort.",
    "figures": "Draw the figures of a paper: cascade in 3D, sections, maps, curves.",
    "models": "List the installed models, their purpose, training and accuracy.",
    "import-rcn": "Turn a checkpoint of Recursive-Cascaded-Networks into a model file.",
    "demo": "Register two individuals made from the ICBM152 template.",
    "bench": "Measure operations, cascades and training steps against plain PyTorch.",
}
_COLUMN = 12  # characters of the names of commands


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line.

    It exits with 2, after one line, for an error that the user can solve, and with 130
    after an interrupt.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _show_logs()
    try:
        with warnings.catch_warnings(), reporting_memory_shortage():
            warnings.showwarning = _show_warning
            _run(words)
    except (VoltweenError, OSError) as error:  # OSError: such as a full disk
        _print_error(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(words: list[str]) -> None:
    name = words[0] if words else "--help"
    if name in ("-h", "--help"):
        print(overview())
    elif name == "--version":
        print(f"voltween {__version__}")
    else:
        _run_command(name, words[1:])


def _run_command(name: str, words: list[str]) -> None:
    """Runs a command, which does not write over the files that it reads."""
    command = read_command(name, words)
    token = invocation.words.set(("voltween", name, *words))
    try:
        with reading(invocation.paths_to_keep(command)):
            command.run()
    finally:
        invocation.words.reset(token)


def overview() -> str:
    """The help of `voltween` itself: its commands, one line each."""
    lines = [
        "usage: voltween COMMAND ...",
        "",
        "Register 3D medical images with Volume Tweening Networks.",
        "",
        *(f"  {name:{_COLUMN}}{summary}" for name, summary in COMMANDS.items()),
        "",
        "  -h, --help  show this help, or that of a command: voltween COMMAND --help",
        "  --version   show the version",
    ]
    return "\n".join(lines)


def read_command(name: str, words: list[str]) -> Any:
    """The command of that name with its options, ready to run.

    Raises:
        InputError: If there is no such command, or a number is out of any range.
    """
    import tyro  # not for help and version: it takes a third of a second

    if name not in COMMANDS:
        raise InputError(
            about="voltween",
            expected=f"a command ({', '.join(COMMANDS)})",
            got=repr(name),
            advice="see voltween --help",
        )
    command = tyro.cli(_kind(name, words), prog=f"voltween {name}", args=words)
    invocation.check_options(command)
    return command


def _kind(name: str, words: list[str]) -> Callable[..., Any]:
    """The dataclass of a command; the defaults of `train` depend on its network."""
    parts = name.split("-")
    module = import_module(f"voltween.cli.{'_'.join(parts)}")
    if name == "train":
        return module.command_for(words)
    return getattr(module, "".join(part.capitalize() for part in parts))


class _PlainFormatter(logging.Formatter):
    """Log lines in which names of cases and files give the terminal no orders."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return terminal(super().format(record))


def _show_logs() -> None:
    """Shows warnings of the log, unless someone else has set the log up."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _print_error(f"warning: {message}")


def _print_error(text: str) -> None:
    line = " ".join(terminal(text).splitlines())
    print(f"voltween: {line}", file=sys.stderr)
