"""A value that all tasks of a run need, which a worker process reads once and keeps.

Tasks then carry its path alone. The file lies in the folder of the results, which all
workers see.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from voltween.errors import InputError
from voltween.storage import output_folder, workspace
from voltween.workers.engine import Engine

Value = TypeVar("Value")
_values: dict[str, Any] = {}
_MOST = 2  # values in one process: that of a run, and that of the run within it


@dataclass(frozen=True)
class Shared(Generic[Value]):
    """The path and the token of a value that tasks share."""

    path: Path
    token: str

    @property
    def value(self) -> Value:
        """The value, which this process has or reads.

        Raises:
            InputError: If the file is gone: the driver has ended.
        """
        if self.token not in _values:
            _keep(self.token, _read(self.path))
        return _values[self.token]


@contextmanager
def sharing(value: Value, folder: Path, engine: Engine) -> Iterator[Shared[Value]]:
    """Shares a value with the workers of an engine within the block.

    Args:
        value: Anything that cloudpickle takes, which takes functions as well.
        folder: The folder of the results.
        engine: The engine; for this process, there is no file.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    token = uuid.uuid4().hex
    _keep(token, value)
    try:
        if engine.is_this_process:
            yield Shared(folder, token)
            return
        with workspace(output_folder(folder)) as room:
            path = room.resolve() / "shared.pickle"
            _write(value, path)
            yield Shared(path, token)
    finally:
        _values.pop(token, None)


def _keep(token: str, value: Any) -> None:
    while len(_values) >= _MOST:
        del _values[next(iter(_values))]
    _values[token] = value


def _write(value: Any, path: Path) -> None:
    import cloudpickle  # comes with Dask

    path.write_bytes(cloudpickle.dumps(value))


def _read(path: Path) -> Any:
    import cloudpickle

    try:
        return cloudpickle.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            about=path, expected="a file of a run that goes on", got="none"
        ) from error
