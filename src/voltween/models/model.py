"""Trained models on disk: safetensors files with their configuration as JSON inside.

Nothing is ever unpickled. A file appears whole or not at all.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voltween.errors import InputError, MissingPackageError
from voltween.models.devices import usable_device
from voltween.models.facts import dataclass_from_facts
from voltween.models.fingerprint import ModelFingerprint
from voltween.models.library import model_path
from voltween.models.tensor_files import (
    SUFFIX,
    check_finite,
    read_tensors,
    tensors_under,
    write_tensors,
)
from voltween.networks import (
    CascadeConfig,
    Network,
    NetworkConfig,
    Precision,
    Registrar,
    build,
    config_facts,
    config_from_facts,
    optimize,
)
from voltween.preprocessing import Preprocessing
from voltween.storage import PathLike, content_digest

_NETWORK = "network."


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with everything needed to use it and to judge it."""

    name: str
    network: Network
    preprocessing: Preprocessing
    provenance: dict[str, Any]
    """Data, training configuration, steps, package version, measured results."""
    precision: Precision = "fp32"
    """Precision of the network's features (see `voltween.networks.optimize`).

    With fp32 the result is the same on all processors, up to rounding.
    """
    fingerprint: ModelFingerprint | None = None
    """Fingerprint of its training scans; None for files that have none."""

    def to(self, device: str) -> "Model":
        """Returns a copy of the model on another device, such as "cpu" or "cuda".

        "auto" is a GPU if PyTorch can use one here, else the CPU.

        Raises:
            InputError: If PyTorch cannot use the device here.
        """
        network = copy.deepcopy(self.network).to(usable_device(device))
        return replace(self, network=network)

    def repeated(self, repeats: int) -> "Model":
        """Returns the model with that many passes of every dense subnetwork.

        The weights stay the same; the authors' later code (RCN) does so in inference.

        Raises:
            InputError: If the network is not a cascade, or `repeats` is below 1.
        """
        config = self.network.config
        if not isinstance(config, CascadeConfig):
            raise InputError(
                about=self.name,
                expected="a cascade, whose dense subnetworks can be repeated",
                got=config.title,
            )
        network = build(replace(config, repeats=repeats))
        network.load_state_dict(self.network.state_dict())
        return replace(self, network=network.to(self.device).eval())

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return next(self.network.parameters()).device

    @cached_property
    def registrar(self) -> Registrar:
        """The network in its fast form for inference."""
        return optimize(self.network, self.precision)


def load_model(name_or_path: PathLike) -> Model:
    """Loads a shipped or own model by its name, or a model file that training wrote.

    Raises:
        InputError: If there is no such model, the file is damaged or of another kind,
            or the package that its network comes from is missing.
    """
    path = model_path(name_or_path)
    tensors, description = read_tensors(path)
    check_finite(tensors, path)
    with naming_misfits(path):
        config = config_from_facts(description)
        preprocessing = dataclass_from_facts(
            Preprocessing, description["preprocessing"], "preprocessing"
        )
        fingerprint = fingerprint_in(description)
        provenance = description.get("provenance", {})
        if not isinstance(provenance, dict):
            raise TypeError("provenance that is no table")
        weights = tensors_under(_NETWORK, tensors)
        network = _network_of(config, weights)
    return Model(
        path.name.removesuffix(SUFFIX),
        network.eval(),
        preprocessing,
        provenance,
        fingerprint=fingerprint,
    )


def fingerprint_in(description: dict[str, Any]) -> ModelFingerprint | None:
    """The fingerprint in a model's description; None in older files.

    Raises:
        InputError: If it does not fit this version of Voltween.
    """
    facts = description.get("fingerprint")
    if facts is None:
        return None
    return dataclass_from_facts(ModelFingerprint, facts, "fingerprint")


def weights_digest(name_or_path: PathLike) -> str:
    """SHA-256 of a model's file, which identifies its weights and settings.

    Raises:
        InputError: If there is no such model.
    """
    return content_digest(model_path(name_or_path))


def save_model(model: Model, path: PathLike, *, is_half: bool = True) -> Path:
    """Writes a model to one file, by default in half precision; returns its path.

    Raises:
        OutputError: If the file cannot be written.
    """
    dtype = torch.float16 if is_half else torch.float32
    tensors = network_tensors(model.network, dtype)
    return write_tensors(Path(path), tensors, describe(model))


def describe(model: Model) -> dict[str, Any]:
    """Returns everything of a model except its weights, as JSON types."""
    return {
        **config_facts(model.network.config),
        "preprocessing": asdict(model.preprocessing),
        "provenance": model.provenance,
        "fingerprint": asdict(model.fingerprint) if model.fingerprint else None,
    }


def network_tensors(
    network: Network, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Returns the weights by their names in a checkpoint."""
    weights = network.state_dict()
    return {f"{_NETWORK}{name}": weight.to(dtype) for name, weight in weights.items()}


def _network_of(config: NetworkConfig, weights: dict[str, Tensor]) -> Network:
    """The network with these weights, which it keeps.

    Raises:
        ValueError: If a cascade is of another size, which is told before it takes
            memory.
    """
    if not isinstance(config, CascadeConfig):  # voxelmorph cannot be built on "meta"
        network = build(config)
        network.load_state_dict(weights)
        return network
    with torch.device("meta"):  # which has sizes, no memory, and draws no weights
        network = build(config)
    _check_size(network, weights)
    network.load_state_dict(weights, assign=True)
    return network


def _check_size(network: Network, weights: dict[str, Tensor]) -> None:
    """Checks that a network is as large as its weights.

    Raises:
        ValueError: If it is of another size.
    """
    # Not `state_dict`: what it computes there imports PyTorch's compiler (0.6 s).
    wanted = {name: w.numel() for name, w in network.named_parameters()}
    for name in sorted(wanted.keys() | weights.keys()):
        stored = weights[name].numel() if name in weights else 0
        if wanted.get(name, 0) != stored:
            raise ValueError(f"{stored} weights {name}, for {wanted.get(name, 0)}")


@contextmanager
def naming_misfits(path: Path) -> Iterator[None]:
    """Names the file in errors about a configuration or weights that do not fit."""
    try:
        yield
    except MissingPackageError:
        raise
    except (
        *(KeyError, TypeError, ValueError, RuntimeError),
        *(AttributeError, ArithmeticError),
    ) as error:
        raise InputError(
            about=path,
            expected="configuration and weights that fit this version of Voltween",
            got=str(error).splitlines()[0],
        ) from error
