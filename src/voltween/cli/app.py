"""The entry point `voltween`: finds the command, reads its options, runs it.

A command is imported when it is named, so that help and version take no time.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from voltween.cli.catalogue import COMMANDS as COMMANDS
from voltween.cli.catalogue import WITHOUT_PREFIXES, overview
from voltween.cli.common import wants_json
from voltween.cli.exit_codes import EXIT_ERROR, EXIT_SOME_FAILED
from voltween.cli.kinds import kind_of
from voltween.cli.streams import (
    read_names_as_utf8,
    separate_error_stream,
    writing_to_streams,
)
from voltween.process import stopping_at_signals
from voltween.starting import finish, resume_collector

if TYPE_CHECKING:
    from voltween.cli.common import CommonOptions

_WITH_PYTORCH = {"register", "cohort"}  # and with time that somebody waits
HELP = {"-h", "--help"}
"""The words that ask for help."""


def main(
    arguments: Sequence[str] | None = None,
    run: Callable[[list[str]], None] | None = None,
) -> None:
    """Runs the command line; `run` is that of another program than `voltween`.

    It exits with 2, after one line, for an error that the user can solve; with 1 if
    some of many scans or pairs failed and the others are done; with 130
    after an interrupt, and with 143 after a termination; and with 141, silently, if
    nobody reads what it writes.
    """
    is_process = arguments is None
    if is_process:
        read_names_as_utf8()
        separate_error_stream()
    with stopping_at_signals(ends_process=is_process), writing_to_streams():
        words = list(sys.argv[1:] if arguments is None else arguments)
        with _reporting_errors():
            (run or partial(_run, is_process=is_process))(words)


def bids_main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line of `voltween-bids`, with the exit codes of `main`."""
    main(arguments, run=_run_bids_app)


def _run_bids_app(words: list[str]) -> None:
    from importlib import import_module  # it imports this module

    import_module("voltween.cli.bids_app").run_bids_app(words)


@contextmanager
def _reporting_errors() -> Iterator[None]:
    """Shows warnings and errors in one line each; an error ends the command."""
    import warnings  # not before signals are heeded

    from voltween.cli.log import show_logs
    from voltween.errors import FailedTasksError, VoltweenError

    show_logs()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _shower_of_warnings()
            yield
    except BrokenPipeError:  # no error of the command
        raise
    except (VoltweenError, OSError) as error:  # OSError: such as a full disk
        _print_error(str(error))
        sys.exit(
            EXIT_SOME_FAILED if isinstance(error, FailedTasksError) else EXIT_ERROR
        )
    except UnicodeEncodeError as error:
        got = ascii(error.object)
        _print_error(f"expected names of letters in UTF-8, got {got}: rename the file")
        sys.exit(EXIT_ERROR)


def _run(words: list[str], *, is_process: bool) -> None:
    name = words[0] if words else "--help"
    if name in HELP:
        print(overview())
    elif name == "--version":
        from voltween import __version__

        print(f"voltween {__version__}")
    else:
        from voltween.cli.results import writing_json

        with writing_json(name, is_wanted=wants_json(words) and not HELP & {*words}):
            _run_command(name, words[1:], is_process=is_process)


def _run_command(name: str, words: list[str], *, is_process: bool) -> None:
    from voltween.cli.common import split_words
    from voltween.cli.libraries import import_readers, load_ahead

    if HELP & {*words}:
        _show_help(name, words)
        return
    common, own = split_words(name, words)
    if name in _WITH_PYTORCH:
        load_ahead()
        if is_process:
            import_readers()
    command = read_command(name, own)
    run = partial(_run_aloud, name, command, common)
    execute(command, ("voltween", name, *own), run=run)
    if name in _WITH_PYTORCH:
        finish()


def execute(
    command: Any, words: tuple[str, ...], *, run: Callable[[], None] | None = None
) -> None:
    """Runs a command, which does not write over the files that it reads.

    Args:
        command: The command with its options.
        words: The words of the command line, the program first.
        run: Runs the command; by default its own method does.
    """
    from voltween.cli import invocation
    from voltween.errors import reporting_memory_shortage
    from voltween.storage import reading

    resume_collector()  # imports are done
    token = invocation.words.set(words)
    try:
        with reporting_memory_shortage(), reading(invocation.paths_to_keep(command)):
            (run or command.run)()
    finally:
        invocation.words.reset(token)


def _show_help(name: str, words: list[str]) -> None:
    from voltween.cli.help import help_of

    print(help_of(name, kind_of(name, words), words))
    sys.exit(0)


def _run_aloud(name: str, command: Any, common: "CommonOptions") -> None:
    """Runs a command with the options that every command has: quiet, JSON, log."""
    from voltween.cli.console import speaking
    from voltween.cli.interrupts import saying_what_is_kept
    from voltween.cli.invocation import words
    from voltween.cli.log import logging_to

    with (
        logging_to(common.log, words.get()),
        speaking(is_quiet=common.is_quiet, is_json=common.is_json),
        saying_what_is_kept(name, command),
    ):
        command.run()


def read_command(name: str, words: list[str]) -> Any:
    """The command of that name with its options, ready to run.

    Raises:
        InputError: If there is no such command, an option is unknown, a value is
            missing or of another type, or a number is out of any range.
    """
    from voltween.cli.words import check_command

    kind = kind_of(name, words)
    is_grouped = name in WITHOUT_PREFIXES
    check_command(name, kind, words, is_grouped=is_grouped)
    return build_command(f"voltween {name}", kind, words, is_grouped=is_grouped)


def build_command(
    program: str, kind: Callable[..., Any], words: list[str], *, is_grouped: bool
) -> Any:
    """The command of a program, made from its words.

    Args:
        program: The program, as its help names it.
        kind: The dataclass of the command.
        words: The words after the program.
        is_grouped: Whether options have their own names, without those of groups.

    Raises:
        InputError: If a value is out of its range, or options contradict each other.
    """
    import os

    import tyro  # not for help and version: it takes a third of a second

    from voltween.cli import invocation
    from voltween.cli.refusals import naming_options

    # Plugins of a checker of types that tyro uses: the search takes 30 milliseconds.
    os.environ.setdefault("TYPEGUARD_DISABLE_PLUGIN_AUTOLOAD", "1")
    marks = tyro.conf
    config = (marks.DisallowNone, marks.FlagCreatePairsOff, marks.OmitArgPrefixes)
    with naming_options(kind, is_grouped=is_grouped):
        command = tyro.cli(
            kind, prog=program, args=words, config=config if is_grouped else None
        )
        invocation.check_options(command)
    return command


def _shower_of_warnings() -> Callable[..., None]:
    """Returns the function that shows a warning; a command shows each text once."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        from voltween.cli.results import add_warning

        text = str(message)
        if text not in shown:
            shown.add(text)
            add_warning(text)
            _print_error(f"warning: {text}")

    return show


def _print_error(text: str) -> None:
    """Prints one line."""
    from voltween.cli.log import say

    say(f"voltween: {' '.join(text.splitlines())}")
