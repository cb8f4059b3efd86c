"""The network of a training before its first step."""

from dataclasses import replace

import torch

from voltween.errors import InputError
from voltween.models import Model, different_settings, in_one_line, load_model
from voltween.networks import CascadeConfig, Network, build, weights_for
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
            raise InputError(
                about=config.start_from,
                expected="a model with the network of this training",
                got=f"another one ({in_one_line(_other_settings(model, recipe))})",
                advice=f"give --fine-tune {config.start_from}, which takes the "
                "network of the model",
            )
        network.load_state_dict(state)
    return network


def _other_settings(model: Model, recipe: Recipe) -> list[str]:
    """Settings in which the network of a model is not that of a recipe, in words."""
    got, expected = model.network.config, recipe.network
    if type(got) is not type(expected):
        return [f"{got.title}, not {expected.title}"]
    if isinstance(got, CascadeConfig) and isinstance(expected, CascadeConfig):
        may_differ = expected.flow_multiplier, expected.sees
        got = replace(got, flow_multiplier=may_differ[0], sees=may_differ[1])
    return different_settings(got, expected)
