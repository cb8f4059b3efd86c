"""The network of a training before its first step."""

from dataclasses import replace

import torch

from voltween.errors import InputError
from voltween.models import different_settings, in_one_line, load_model
from voltween.networks import CascadeConfig, Network, NetworkConfig, build, weights_for
from voltween.training.recipe import Recipe


def initial_network(recipe: Recipe) -> Network:
    """Builds the network as it is before the first step.

    Raises:
        InputError: If the model to start from has another network.
        MissingPackageError: If the package that the network comes from is missing.
    """
    config = recipe.training
    torch.manual_seed(config.seed)
    network = build(recipe.network)
    network.recomputes_features = config.recompute_features
    if config.start_from is not None:
        model = load_model(config.start_from)
        state = weights_for(recipe.network, model.network)
        if state is None:
            differences = other_settings(model.network.config, recipe.network)
            raise InputError(
                about=config.start_from,
                expected="a model with the network of this training",
                got=f"another one ({in_one_line(differences)})",
                advice=_advice(config.start_from, model.network.config),
            )
        network.load_state_dict(state)
    return network


def has_weights_for(model: str, config: NetworkConfig) -> bool:
    """Whether a network can start from the weights of a model.

    Raises:
        InputError: If there is no such model.
    """
    return weights_for(config, load_model(model).network) is not None


def other_settings(got: NetworkConfig, expected: NetworkConfig) -> list[str]:
    """Settings in which the weights of a network do not suit another one, in words."""
    if type(got) is not type(expected):
        return [f"{got.title}, not {expected.title}"]
    if isinstance(got, CascadeConfig) and isinstance(expected, CascadeConfig):
        may_differ = expected.flow_multiplier, expected.sees
        got = replace(got, flow_multiplier=may_differ[0], sees=may_differ[1])
    return different_settings(got, expected)


def _advice(model: str, config: NetworkConfig) -> str:
    """The options with which a training can start from a model."""
    if isinstance(config, CascadeConfig):
        return (
            f"give --fine-tune {model} in place of --start-from, --network, --shape "
            "and options of the cascade: it takes the network of the model"
        )
    shape = " ".join(map(str, config.shape))
    return f"give --network voxelmorph-2 and --shape {shape}"
