"""Command: print the completion script of a shell."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from voltween.cli.completions import completion_script
from voltween.cli.console import console
from voltween.cli.results import give_result


@dataclass(frozen=True)
class Completion:
    """Print the script that completes commands in your shell.

    It knows the commands, their options, and the values of options that have a list of
    them; other words are completed as files. For bash, put it into
    ~/.local/share/bash-completion/completions/voltween; for zsh, as _voltween into a
    folder of $fpath; for fish, into ~/.config/fish/completions/voltween.fish. Print it
    again after an update.
    """

    shell: Annotated[
        Positional[Literal["bash", "zsh", "fish"]], tyro.conf.arg(metavar="SHELL")
    ]
    """bash, zsh or fish."""

    def run(self) -> None:
        """Make and print."""
        script = completion_script(self.shell)
        give_result(shell=self.shell, script=script)
        console.print(script, soft_wrap=True)
