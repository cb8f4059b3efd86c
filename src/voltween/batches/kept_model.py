"""Models that a process loads once and keeps for all its pairs."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from voltween.batches.kept_files import Stamp, stamp_of
from voltween.models import Model, load_model, model_path
from voltween.networks import Precision
from voltween.storage import PathLike

_CPU = "cpu"
_MODELS = 2  # a pair may take another model than the one before it


def kept_model(
    name_or_path: PathLike, *, precision: Precision, device: str = "cpu"
) -> Model:
    """Loads a model, or returns it if this process has loaded it before.

    A file that has changed since is loaded again.

    Raises:
        InputError: As `load_model`, or if PyTorch cannot use the device here.
    """
    path = model_path(name_or_path)
    return _load(path, precision, device, stamp_of(path))


@lru_cache(maxsize=_MODELS)
def _load(path: Path, precision: Precision, device: str, stamp: Stamp | None) -> Model:
    model = replace(load_model(path), precision=precision)
    return model if device == _CPU else model.to(device)
