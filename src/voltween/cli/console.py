"""The consoles of all commands: names in output give the terminal no orders.

Results go to the standard output; warnings, errors and progress to the error output.
With --json, everything that is shown goes there.
"""

import io
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.control import Control
from rich.segment import Segment
from rich.text import Text

from voltween.cli import log
from voltween.storage import terminal

_LOG_WIDTH = 100  # characters of tables in a log file


class PlainConsole(Console):
    """A console to which no text can give orders: neither markup nor terminal codes.

    Names of files and cases may hold both. Styles are given beside the text.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(
            stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False
        )
        self.has_bar = False
        """Whether a progress bar is shown on it."""

    def on_broken_pipe(self) -> None:
        """Leaves an output that nobody reads to `writing_to_streams`; rich exits."""
        raise BrokenPipeError

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints, above the progress bar if there is one, and into the log file."""
        if log.is_open() and objects and not isinstance(objects[0], Control):
            log.write(_plain(objects))
        if self.is_terminal and "soft_wrap" not in options:
            objects = tuple(self._wrapped(item) for item in objects)
        if self is not error_console and error_console.has_bar and self.is_terminal:
            if not self.quiet:
                error_console.print_unlogged(*objects, **options)
        else:
            self.print_unlogged(*objects, **options)

    def _wrapped(self, item: Any) -> Any:
        """A text with breaks between words; paths and other long words stay whole."""
        if not isinstance(item, str):
            return item
        return "\n".join(
            part
            for line in item.split("\n")
            for part in textwrap.wrap(
                line, self.width, break_long_words=False, break_on_hyphens=False
            )
            or [""]
        )

    def print_unlogged(self, *objects: Any, **options: Any) -> None:
        """Prints, but not into the log file."""
        super().print(*objects, **options)

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


@contextmanager
def speaking(*, is_quiet: bool, is_json: bool) -> Iterator[None]:
    """Within the block, shows no results, or shows them beside JSON."""
    console.quiet, console.stderr = is_quiet, is_json
    try:
        yield
    finally:
        console.quiet, console.stderr = False, False


def is_first_process() -> bool:
    """Whether this is the only training process of the machine, or the first."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


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


def _plain(objects: tuple[Any, ...]) -> str:
    """The printed text, without colors."""
    text, page = io.StringIO(), PlainConsole()
    page.file, page.width = text, _LOG_WIDTH
    page.print_unlogged(*objects)
    return text.getvalue()
