"""Trained models on disk: one safetensors file with its configuration as JSON inside.

Nothing is ever unpickled. A file appears whole or not at all.
"""

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from voltween.errors import InputError
from voltween.files import PathLike
from voltween.models.facts import dataclass_from_facts
from voltween.models.tensor_files import (
    SUFFIX,
    read_description,
    read_tensors,
    tensors_under,
    write_tensors,
)
from voltween.networks import (
    Network,
    Precision,
    Registrar,
    build,
    config_facts,
    config_from_facts,
    optimize,
)
from voltween.preprocessing import Preprocessing

_NETWORK = "network."


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with all that is needed to use it and to judge it."""

    name: str
    network: Network
    preprocessing: Preprocessing
    provenance: dict[str, Any]
    """Data, training configuration, steps, package version, measured figures."""
    precision: Precision = "fp32"
    """Of the network's features (see `voltween.inference`): with fp32 the result is the
    same on all processors, to rounding."""

    def to(self, device: str) -> "Model":
        """The same model, computing on another device, such as "cpu" or "cuda".

        Raises:
            InputError: If PyTorch has no such device here.
        """
        try:
            network = copy.deepcopy(self.network).to(device)
        except (RuntimeError, AssertionError) as error:  # no CUDA in this PyTorch
            reason = str(error).splitlines()[0]
            raise InputError(
                f"device {device!r} cannot be used here ({reason}): take cpu"
            ) from error
        return replace(self, network=network)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device

    @cached_property
    def registrar(self) -> Registrar:
        """The network made fast for inference."""
        return optimize(self.network, self.precision)


def load_model(name_or_path: PathLike) -> Model:
    """A model by the name of a shipped one, or from a file that training wrote.

    Raises:
        InputError: If there is none, the file is damaged or not a Voltween model, or
            the package that its network comes from is missing.
    """
    path = model_path(name_or_path)
    tensors, description = read_tensors(path)
    with _naming_misfits(path):
        config = config_from_facts(description)
        preprocessing = dataclass_from_facts(
            Preprocessing, description["preprocessing"], "preprocessing"
        )
    network = build(config)
    with _naming_misfits(path):
        network.load_state_dict(tensors_under(_NETWORK, tensors))
    provenance = description.get("provenance", {})
    return Model(
        path.name.removesuffix(SUFFIX), network.eval(), preprocessing, provenance
    )


def weights_digest(name_or_path: PathLike) -> str:
    """SHA-256 of a model's file: what stands for its weights and its settings.

    Raises:
        InputError: If there is none.
    """
    return hashlib.sha256(model_path(name_or_path).read_bytes()).hexdigest()


def save_model(model: Model, path: PathLike, *, is_half: bool = True) -> Path:
    """Write a model to one file; in half precision unless told otherwise.

    Raises:
        InputError: If the file cannot be written.
    """
    dtype = torch.float16 if is_half else torch.float32
    tensors = network_tensors(model.network, dtype)
    return write_tensors(Path(path), tensors, describe(model))


def describe(model: Model) -> dict[str, Any]:
    """All of a model but its weights, as JSON types."""
    return {
        **config_facts(model.network.config),
        "preprocessing": asdict(model.preprocessing),
        "provenance": model.provenance,
    }


def network_tensors(
    network: Network, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """The weights by their names in a checkpoint."""
    weights = network.state_dict()
    return {f"{_NETWORK}{name}": weight.to(dtype) for name, weight in weights.items()}


def installed_models() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and description of each shipped model, in alphabetical order."""
    for path in sorted(_models_folder().glob(f"*{SUFFIX}")):
        with safe_open(path, framework="pt") as file:
            yield (
                path.name.removesuffix(SUFFIX),
                read_description(path, file.metadata()),
            )


@contextmanager
def _naming_misfits(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: its configuration and weights do not fit this version of "
            f"Voltween ({str(error).splitlines()[0]})"
        ) from error


def model_path(name_or_path: PathLike) -> Path:
    """The file of a model, by the name of a shipped one or by its path.

    Raises:
        InputError: If there is none.
    """
    shipped = _models_folder() / f"{name_or_path}{SUFFIX}"
    if shipped.is_file():
        return shipped
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(
            p.name.removesuffix(SUFFIX) for p in _models_folder().glob(f"*{SUFFIX}")
        )
        raise InputError(
            f"{name_or_path}: no such model; expected a file that `voltween train` "
            f"wrote or a shipped model ({names})"
        )
    return path


def _models_folder() -> Path:
    return Path(str(files("voltween") / "models"))
