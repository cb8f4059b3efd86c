"""Output that several commands share: consoles and progress bars."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
)
from rich.segment import Segment
from rich.text import Text

from voltween.escaping import terminal


class PlainConsole(Console):
    """A console to which no text can give orders: neither markup nor terminal codes.

    Names of files and cases may hold both. Styles are given beside the text.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(
            stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False
        )

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is shown, so that tables have room for it."""
        return super().render_str(terminal(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yields the parts of what is shown, with control characters as codes."""
        for segment in super().render(renderable, options):
            if segment.control:  # those of the console itself
                yield segment
            else:
                yield Segment(terminal(segment.text), segment.style)


console = PlainConsole()
error_console = PlainConsole(stderr=True)


def is_first_process() -> bool:
    """Whether this is the only training process of the machine, or the first."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


@contextmanager
def changing_line(text: str = "") -> Iterator[Callable[[str], None]]:
    """Shows one line beside a spinner; yields the function that replaces its text."""
    with console.status(Text(terminal(text))) as status:
        yield lambda words: status.update(Text(terminal(words)))


class Description(ProgressColumn):
    """The column of a progress bar that shows the description of its task."""

    def render(self, task: Task) -> Text:
        """The description as it is."""
        return Text(terminal(task.description))


def show_markdown(text: str) -> None:
    """Shows a page of Markdown, such as a table of results.

    A table that is too wide is shown as it is stored: columns that are squeezed would
    lose the ends of their words, such as those of methods.
    """
    from rich.markdown import Markdown  # slow to import, for tables only

    rows = [line for line in text.splitlines() if line.startswith("|")]
    is_too_wide = max(map(len, rows), default=0) > console.width
    if is_too_wide:
        console.print(Text(text), soft_wrap=True)
    else:
        console.print(Markdown(text), soft_wrap=False)


@contextmanager
def case_progress(cases: int) -> Iterator[Callable[[str], None]]:
    """Shows a progress bar over scans; yields the function to call before each one."""
    columns = (MofNCompleteColumn(), BarColumn(), Description())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=cases)
        yield lambda name: progress.update(task, advance=1, description=name)
