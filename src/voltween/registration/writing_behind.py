"""Files that a thread writes while the next ones are computed.

Compression and the disk leave the interpreter to the main thread. Nothing is computed
in the thread: what a registration keeps is computed by the main thread alone.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any


class Writer:
    """Writes files in a thread, one after another."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor
        self._files: list[Future] = []

    def write(
        self, write: Callable[[Any, Path], object], content: Any, path: Path
    ) -> None:
        """Lets a file be written after those that are waiting.

        Raises:
            Exception: That of an earlier file that could not be written.
        """
        for file in self._files:
            if file.done():
                file.result()
        # The inputs of a command, which are kept, are known to its context alone.
        context = copy_context()
        self._files.append(self._executor.submit(context.run, write, content, path))

    def finish(self) -> None:
        """Waits until all files are written.

        Raises:
            Exception: That of the first file that could not be written.
        """
        for file in self._files:
            file.result()


@contextmanager
def writing_behind() -> Iterator[Writer]:
    """Yields a writer, all of whose files are written at the end of the block.

    After an error or an interrupt, the files that wait are left out and the one that is
    being written is waited for: then the folder is no longer in use.

    Raises:
        Exception: That of the first file that could not be written.
    """
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
    try:
        writer = Writer(executor)
        yield writer
        writer.finish()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
