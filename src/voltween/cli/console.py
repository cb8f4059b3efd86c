"""Output that several commands share: consoles and progress bars."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

console = Console(highlight=False, soft_wrap=True)
error_console = Console(stderr=True, highlight=False, soft_wrap=True)


def is_first_process() -> bool:
    """Whether this is the only training process of the machine, or the first."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def show_markdown(text: str) -> None:
    """Shows a page of Markdown, such as a table of results."""
    console.print(Markdown(text))


@contextmanager
def case_progress(cases: int) -> Iterator[Callable[[str], None]]:
    """Shows a progress bar over scans; yields the function to call before each one."""
    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=cases)
        yield lambda name: progress.update(task, advance=1, description=name)
