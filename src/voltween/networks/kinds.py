"""The kinds of network that can be trained, and how files tell them apart."""

import re
from dataclasses import asdict, replace
from typing import Any

from torch import Tensor

from voltween.networks.cascade import CascadeConfig, VolumeTweeningNetwork
from voltween.networks.voxelmorph import VoxelMorphConfig, VoxelMorphNetwork

Network = VolumeTweeningNetwork | VoxelMorphNetwork
NetworkConfig = CascadeConfig | VoxelMorphConfig

_LAST_LAYER = re.compile(r"dense\.\d+\.flow\..*")  # what the multiplier multiplies
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


def weights_for(config: NetworkConfig, network: Network) -> dict[str, Tensor] | None:
    """A network's weights for one of another flow multiplier, with the same flows.

    None if the two differ in more than that.
    """
    state = network.state_dict()
    if network.config == config:
        return state
    own = network.config
    if not isinstance(own, CascadeConfig) or not isinstance(config, CascadeConfig):
        return None
    if replace(own, flow_multiplier=config.flow_multiplier) != config:
        return None
    ratio = own.flow_multiplier / config.flow_multiplier
    return {
        name: ratio * weight if _LAST_LAYER.fullmatch(name) else weight
        for name, weight in state.items()
    }
