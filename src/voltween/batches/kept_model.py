"""Models that a process loads once and keeps for all its pairs."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from voltween.files import PathLike
from voltween.models import Model, load_model
from voltween.networks import Precision

_Stamp = tuple[int, int] | None
_MODELS = 2  # a pair may take another model than the one before it


def kept_model(name_or_path: PathLike, *, precision: Precision) -> Model:
    """Loads a model, or returns it if this process has loaded it before.

    A file that has changed since is loaded again.

    Raises:
        InputError: As `load_model`.
    """
    return _load(str(name_or_path), precision, _stamp(Path(name_or_path)))


@lru_cache(maxsize=_MODELS)
def _load(name_or_path: str, precision: Precision, stamp: _Stamp) -> Model:
    return replace(load_model(name_or_path), precision=precision)


def _stamp(path: Path) -> _Stamp:
    """Size and time of a model file; None for the name of a shipped model."""
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_size, status.st_mtime_ns
