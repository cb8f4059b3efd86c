"""The kinds of networks that can be trained, and their names in files."""

import re
from dataclasses import asdict, replace
from typing import Any

from torch import Tensor

from voltween.networks.cascade import CascadeConfig, VolumeTweeningNetwork
from voltween.networks.voxelmorph import VoxelMorphConfig, VoxelMorphNetwork

Network = VolumeTweeningNetwork | VoxelMorphNetwork
NetworkConfig = CascadeConfig | VoxelMorphConfig

_LAST_LAYER = re.compile(r"dense\.\d+\.flow\..*")  # scaled by the flow multiplier
_KINDS: dict[str, type[NetworkConfig]] = {
    "cascade": CascadeConfig,
    "voxelmorph-2": VoxelMorphConfig,
}


def build(config: NetworkConfig) -> Network:
    """Returns a network of a configuration with newly drawn weights.

    Raises:
        MissingPackageError: If the package that it comes from is not installed.
    """
    if isinstance(config, VoxelMorphConfig):
        return VoxelMorphNetwork(config)
    return VolumeTweeningNetwork(config)


def config_facts(config: NetworkConfig) -> dict[str, Any]:
    """The configuration as JSON types, under the name of its kind."""
    kind = next(name for name, kind in _KINDS.items() if isinstance(config, kind))
    return {kind: asdict(config)}


def config_from_facts(facts: dict[str, Any]) -> NetworkConfig:
    """The configuration that is stored under the name of its kind.

    Raises:
        KeyError: If the facts hold no network of a known kind.
        TypeError: If a field of the configuration is unknown.
    """
    for name, kind in _KINDS.items():
        if name in facts:
            fields = facts[name]
            return kind(**fields | {"shape": tuple(fields["shape"])})
    expected = " or ".join(_KINDS)
    raise KeyError(f"expected a network, {expected}, got {', '.join(facts)}")


def weights_for(config: NetworkConfig, network: Network) -> dict[str, Tensor] | None:
    """Weights from which a network of `config` starts with the flows of another one.

    The two may differ in the flow multiplier, which the weights make up for, and in
    what they see: such flows are other ones, but a start (`CascadeConfig.sees`). None
    if they differ in anything else.
    """
    state = network.state_dict()
    if network.config == config:
        return state
    source = network.config
    if not isinstance(source, CascadeConfig) or not isinstance(config, CascadeConfig):
        return None
    may_differ = {"flow_multiplier": config.flow_multiplier, "sees": config.sees}
    if replace(source, **may_differ) != config:  # type: ignore[arg-type]
        return None
    ratio = source.flow_multiplier / config.flow_multiplier
    return {
        name: ratio * weight if _LAST_LAYER.fullmatch(name) else weight
        for name, weight in state.items()
    }
