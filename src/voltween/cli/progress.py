"""Progress bars, which are shown on the error output if that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
)
from rich.text import Text

from voltween.cli.console import console, error_console
from voltween.storage import terminal


class Description(ProgressColumn):
    """The column of a progress bar that shows the description of its task."""

    def render(self, task: Task) -> Text:
        """The description as it is."""
        return Text(terminal(task.description), no_wrap=True, overflow="ellipsis")


@contextmanager
def progress_bar(
    *columns: ProgressColumn, is_shown: bool = True, is_kept: bool = False
) -> Iterator[Progress]:
    """Shows a progress bar within the block; what is printed meanwhile stands above it.

    Args:
        columns: What the line shows, from left to right.
        is_shown: Whether to show it, if the error output is a terminal.
        is_kept: Whether the line stays at the end.
    """
    is_shown = is_shown and error_console.is_terminal and not console.quiet
    error_console.has_bar = is_shown
    try:
        with Progress(
            *columns,
            console=error_console,
            disable=not is_shown,
            transient=not is_kept,
            redirect_stdout=sys.stdout.isatty(),
        ) as progress:
            yield progress
    finally:
        error_console.has_bar = False


@contextmanager
def changing_line(text: str = "") -> Iterator[Callable[[str], None]]:
    """Shows one line beside a spinner; yields the function that replaces its text."""
    with progress_bar(SpinnerColumn(), Description()) as progress:
        task = progress.add_task(text, total=None)
        yield lambda words: progress.update(task, description=words)


@contextmanager
def case_progress(cases: int) -> Iterator[Callable[[str], None]]:
    """Shows a progress bar over scans; yields the function to call before each one."""
    with progress_bar(MofNCompleteColumn(), BarColumn(), Description()) as progress:
        task = progress.add_task("", total=cases)
        yield lambda name: progress.update(task, advance=1, description=name)
