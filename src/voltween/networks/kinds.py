"""The kinds of network that can be trained, and how files tell them apart."""

from dataclasses import asdict
from typing import Any

from voltween.networks.cascade import CascadeConfig, VolumeTweeningNetwork
from voltween.networks.voxelmorph import VoxelMorphConfig, VoxelMorphNetwork

Network = VolumeTweeningNetwork | VoxelMorphNetwork
NetworkConfig = CascadeConfig | VoxelMorphConfig

_KINDS: dict[str, type[NetworkConfig]] = {
    "cascade": CascadeConfig,
    "voxelmorph-2": VoxelMorphConfig,
}


def build(config: NetworkConfig) -> Network:
    """The network of a configuration, with weights drawn anew.

    Raises:
        InputError: If the package that it comes from is missing.
    """
    if isinstance(config, VoxelMorphConfig):
        return VoxelMorphNetwork(config)
    return VolumeTweeningNetwork(config)


def config_facts(config: NetworkConfig) -> dict[str, Any]:
    """The configuration as JSON types, under the name of its kind."""
    (kind,) = (name for name, known in _KINDS.items() if isinstance(config, known))
    return {kind: asdict(config)}


def config_from_facts(facts: dict[str, Any]) -> NetworkConfig:
    """The configuration that is among the facts under the name of its kind.

    Raises:
        KeyError: If there is none of a known kind.
        TypeError: If it has a field that is not known.
    """
    for kind, known in _KINDS.items():
        if kind in facts:
            fields = facts[kind]
            return known(**fields | {"shape": tuple(fields["shape"])})
    raise KeyError(f"no network of a known kind, {' or '.join(_KINDS)}")
