"""The command line: one dataclass a subcommand; the text under a field is its help."""

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from voltween.cli import console
from voltween.cli.align import Align
from voltween.cli.apply import Apply
from voltween.cli.bench import Bench
from voltween.cli.compare import Compare
from voltween.cli.demo import Demo
from voltween.cli.evaluate import Evaluate
from voltween.cli.experiment import Experiment
from voltween.cli.figures import Figures
from voltween.cli.models import Models
from voltween.cli.plan import Plan
from voltween.cli.prepare import Prepare
from voltween.cli.register import Register
from voltween.cli.train import Train, train_command
from voltween.errors import InputError

_COMMANDS = (
    Register,
    Apply,
    Align,
    Prepare,
    Plan,
    Train,
    Evaluate,
    Compare,
    Experiment,
    Figures,
    Models,
    Demo,
    Bench,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit code 2 and one line for what the user can mend."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    commands: dict[str, Callable[..., Any]] = {
        kind.__name__.lower(): kind for kind in _COMMANDS
    }
    try:
        command = _read(commands, arguments)
        if isinstance(command, Train):  # defaults depend on the network it names
            own = {"train": train_command(command)}
            command = _read(commands | own, arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            command.run()
    except (InputError, OSError) as error:  # such as a full disk
        console.error_console.print(f"voltween: {error}", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _read(
    commands: dict[str, Callable[..., Any]], arguments: Sequence[str] | None
) -> Any:
    """The command that the arguments ask for."""
    return tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="voltween",
        description="Register 3D medical images with Volume Tweening Networks.",
        args=arguments,
    )


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    console.error_console.print(f"voltween: warning: {message}", markup=False)
