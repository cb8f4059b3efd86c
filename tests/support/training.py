"""A tiny training on the blobs of `support.cohorts`; other processes import it too."""

from dataclasses import replace
from unittest import mock

import torch

from voltween.cohorts import read_manifest
from voltween.models import read_tensors
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.training import Hardware, Recipe, TrainConfig, logs, train

CUBE = (16, 16, 16)
PREPROCESSING = Preprocessing(CUBE, (2.5, 2.5, 2.5))
CASCADE = CascadeConfig("AD", CUBE, 2)
CONFIG = TrainConfig(
    steps=6, validate_every=2, learning_rate=1e-3, validation_pairs=2, masked_share=0.5
)
SHARED = replace(CONFIG, steps=4, pairs_per_step=4, validate_every=1, kept_states=4)
"""For several devices or portions: they share the four pairs of a step."""
LAST = f"state-{CONFIG.steps:08d}.safetensors"


def run(manifest, out, config=CONFIG, on_step=lambda report: None, **changes):
    """Train in a folder.

    `changes` are the network, the kind and number of devices, the cache, and whether
    curves are drawn, which takes longer than the steps.
    """
    network = changes.get("network", CASCADE)
    draw = logs.write_progress if changes.get("draws_curves") else lambda *_: None
    with mock.patch.object(logs, "write_progress", draw):
        return train(
            read_manifest(manifest),
            Recipe(PREPROCESSING, network, config),
            out=out,
            hardware=Hardware(
                changes.get("accelerator", "cpu"), devices=changes.get("devices", 1)
            ),
            cache=changes.get("cache", manifest.parent / "cache"),
            on_step=on_step,
        )


class KilledError(Exception):
    """Raised in the middle of a run, as if it had been killed."""


def die_at(step):
    """An observer of a run that ends it after a step."""

    def observe(report):
        if report.step == step:
            raise KilledError

    return observe


def tensors_of(path):
    """All tensors of a state or model."""
    return read_tensors(path)[0]


def assert_equal(one, other):
    """Two files hold the same tensors, to the bit."""
    tensors, others = tensors_of(one), tensors_of(other)
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)
