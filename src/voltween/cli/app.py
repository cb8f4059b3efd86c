"""The entry point `voltween`: finds the command, reads its options, runs it.

A command is imported when it is named, so that help and version take no time.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from voltween.cli.streams import read_names_as_utf8, writing_to_streams
from voltween.starting import finish, resume_collector
from voltween.stopping import stopping_at_signals

# The module of this package that holds each command, with the first line of its help.
COMMANDS = {
    "register": "Register MOVING to FIXED and write the results to a folder.",
    "cohort": "Register many scans, and go on where an earlier run ended.",
    "apply": "Apply transforms to images, label maps, points and surfaces.",
    "convert": "Write a transform as another tool reads it, or read it from one.",
    "jacobian": "Write a map of the volume change of a transform (Jacobian).",
    "template": "Make a template of many scans: their mean in shape and intensity.",
    "segment": "Carry the labels of several atlases to a scan, and fuse them.",
    "align": "Align all scans of a manifest to one of them with ANTs.",
    "prepare": "Turn a downloaded cohort into images, labels and a manifest.",
    "split": "Divide the cases of a manifest into train, val and test, by subject.",
    "join": "Join the manifests of several cohorts to one, which names the cohorts.",
    "plan": "Inspect the training scans of a manifest and write training settings.",
    "synthesize": "Show the pairs that a training on synthesized scans sees.",
    "train": "Train a network on the `train` cases of a cohort.",
    "evaluate": "Measure a model on pairs of a cohort: overlap, distances, folding.",
    "compare": "Measure models and other tools on the same pairs of a cohort.",
    "experiment": "Run a table of the paper on a cohort.",
    "figures": "Draw the figures of a paper: cascade in 3D, sections, maps, curves.",
    "card": "Write the card of a model that you trained; put it among your own models.",
    "models": "List the shipped models and your own: purpose, training, accuracy.",
    "import-rcn": "Turn a checkpoint of Recursive-Cascaded-Networks into a model file.",
    "demo": "Register two individuals made from the ICBM152 template.",
    "bench": "Measure operations, cascades and training steps against plain PyTorch.",
}
_WITH_PYTORCH = {"register", "cohort"}  # and with time that somebody waits
_COLUMN = 12  # characters of the names of commands


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line.

    It exits with 2, after one line, for an error that the user can solve; with 1 if
    some of many scans or pairs failed and the others are done; with 130
    after an interrupt, and with 143 after a termination; and with 141, silently, if
    nobody reads what it writes.
    """
    is_process = arguments is None
    if is_process:
        read_names_as_utf8()
    with stopping_at_signals(ends_process=is_process), writing_to_streams():
        words = list(sys.argv[1:] if arguments is None else arguments)
        with _reporting_errors():
            _run(words)


@contextmanager
def _reporting_errors() -> Iterator[None]:
    """Shows warnings and errors in one line each; an error ends the command."""
    import warnings  # not before signals are heeded

    from voltween.cli.log import show_logs
    from voltween.errors import (
        FailedTasksError,
        VoltweenError,
        reporting_memory_shortage,
    )

    show_logs()
    try:
        with warnings.catch_warnings(), reporting_memory_shortage():
            warnings.showwarning = _shower_of_warnings()
            yield
    except BrokenPipeError:  # no error of the command
        raise
    except (VoltweenError, OSError) as error:  # OSError: such as a full disk
        _print_error(str(error))
        sys.exit(1 if isinstance(error, FailedTasksError) else 2)
    except UnicodeEncodeError as error:
        got = ascii(error.object)
        _print_error(f"expected names of letters in UTF-8, got {got}: rename the file")
        sys.exit(2)


def _run(words: list[str]) -> None:
    name = words[0] if words else "--help"
    if name in ("-h", "--help"):
        print(overview())
    elif name == "--version":
        from voltween import __version__

        print(f"voltween {__version__}")
    else:
        _run_command(name, words[1:])


def _run_command(name: str, words: list[str]) -> None:
    """Runs a command, which does not write over the files that it reads."""
    from voltween.cli import invocation
    from voltween.cli.libraries import load_ahead
    from voltween.inputs import reading

    if name in _WITH_PYTORCH:
        load_ahead()
    command = read_command(name, words)
    resume_collector()  # imports are done
    token = invocation.words.set(("voltween", name, *words))
    try:
        with reading(invocation.paths_to_keep(command)):
            command.run()
    finally:
        invocation.words.reset(token)
    if name in _WITH_PYTORCH:
        finish()


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
    import os

    import tyro  # not for help and version: it takes a third of a second

    from voltween.cli import invocation
    from voltween.errors import InputError

    if name not in COMMANDS:
        raise InputError(
            about="voltween",
            expected=f"a command ({', '.join(COMMANDS)})",
            got=repr(name),
            advice="see voltween --help",
        )
    # Plugins of a checker of types that tyro uses: the search takes 30 milliseconds.
    os.environ.setdefault("TYPEGUARD_DISABLE_PLUGIN_AUTOLOAD", "1")
    command = tyro.cli(_kind(name, words), prog=f"voltween {name}", args=words)
    invocation.check_options(command)
    return command


def _kind(name: str, words: list[str]) -> Callable[..., Any]:
    """The dataclass of a command; the defaults of `train` depend on its network."""
    from importlib import import_module

    parts = name.split("-")
    module = import_module(f"voltween.cli.{'_'.join(parts)}")
    if name == "train":
        return module.command_for(words)
    return getattr(module, "".join(part.capitalize() for part in parts))


def _shower_of_warnings() -> Callable[..., None]:
    """Returns the function that shows a warning; a command shows each text once."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = str(message)
        if text not in shown:
            shown.add(text)
            _print_error(f"warning: {text}")

    return show


def _print_error(text: str) -> None:
    from voltween.escaping import terminal

    line = " ".join(terminal(text).splitlines())
    print(f"voltween: {line}", file=sys.stderr)
