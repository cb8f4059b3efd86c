"""Log lines on the terminal."""

import logging

from voltween.escaping import terminal


class _PlainFormatter(logging.Formatter):
    """Log lines in which names of cases and files give the terminal no orders."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return terminal(super().format(record))


def show_logs() -> None:
    """Shows warnings of the log, unless someone else has set the log up."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
