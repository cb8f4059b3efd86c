"""The Volume Tweening Network in plain PyTorch: the reference for speed and results.

It does not use `networks`, but has the same parameter names, so that weights load.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from voltween.benchmarks.naive import (
    naive_affine_flow,
    naive_compose,
    naive_correlation_loss,
    naive_edges,
    naive_total_variation_loss,
    naive_warp,
)
from voltween.losses import determinant_loss, orthogonality_loss
from voltween.networks import (
    CascadeConfig,
    Padding,
    Stage,
    Tweening,
    VolumeTweeningNetwork,
)
from voltween.ops import FlowParts
from voltween.training import VTN_LIVER


class NaiveEncoder(nn.Module):
    """3^3 convolutions of stride 2, followed by a second one from the third on."""

    def __init__(self, channels: int, halvings: int, padding: Padding) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        inputs = 2
        for level in range(halvings):
            outputs = channels * 2**level
            blocks = [_convolution(inputs, outputs, 2, padding)]
            if level >= 2:
                blocks.append(_convolution(outputs, outputs, 1))
            self.levels.append(nn.Sequential(*blocks))
            inputs = outputs

    def forward(self, fixed: Tensor, moving: Tensor) -> list[Tensor]:
        """Returns the features after each halving, finest first."""
        features = [torch.cat([fixed, moving], dim=1)]
        for level in self.levels:
            features.append(level(features[-1]))
        return features[1:]


class NaiveAffine(nn.Module):
    """Encoder and one fully connected layer to the 12 numbers A and b."""

    half_sides: Tensor

    def __init__(self, config: CascadeConfig) -> None:
        super().__init__()
        halvings = config.affine_halvings
        self.encoder = NaiveEncoder(config.channels, halvings, config.padding)
        voxels = math.prod(n // 2**halvings for n in config.shape)
        width = voxels * config.channels * 2 ** (halvings - 1)
        self.head = nn.Linear(width, 12, bias=False)
        half_sides = torch.tensor(config.shape) / 2
        self.register_buffer("half_sides", half_sides, persistent=False)

    def forward(self, fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
        """Returns A (no unit) and b (voxels)."""
        numbers = self.head(self.encoder(fixed, moving)[-1].flatten(1))
        matrix = numbers[:, :9].unflatten(1, (3, 3)) / self.half_sides
        return matrix, numbers[:, 9:]


class NaiveStep(nn.Module):
    """One step of the decoder: doubles the grid and joins the encoder's features."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.prediction = nn.Conv3d(inputs, 3, 3, padding=1)
        self.prediction_upsampling = _doubling(3, 3)
        self.feature_upsampling = _doubling(inputs, outputs)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Returns [skip, upsampled features, upsampled flow] on the finer grid."""
        prediction = self.prediction_upsampling(self.prediction(coarse))
        features = leaky_relu(self.feature_upsampling(coarse), 0.1)
        return torch.cat([skip, features, prediction], dim=1)


class NaiveDense(nn.Module):
    """Encoder, decoder and last layer; predicts a flow in voxels."""

    def __init__(self, config: CascadeConfig) -> None:
        super().__init__()
        self.flow_multiplier = config.flow_multiplier
        self.encoder = NaiveEncoder(config.channels, config.halvings, config.padding)
        self.steps = nn.ModuleList()
        inputs = config.channels * 2 ** (config.halvings - 1)
        for level in range(config.halvings - 2, -1, -1):
            outputs = config.channels * 2**level
            self.steps.append(NaiveStep(inputs, outputs))
            inputs = 2 * outputs + 3
        self.flow = _doubling(inputs, 3)

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Returns the flow in voxels."""
        *skips, coarse = self.encoder(fixed, moving)
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            coarse = step(coarse, skip)
        return self.flow(coarse) * self.flow_multiplier


class NaiveCascade(nn.Module):
    """The cascade of figure 2: each subnetwork gets the moving image warped so far."""

    def __init__(self, config: CascadeConfig) -> None:
        super().__init__()
        self.config = config
        self.affine = NaiveAffine(config) if config.stages.startswith("A") else None
        self.dense = nn.ModuleList(
            NaiveDense(config) for _ in range(config.stages.count("D"))
        )

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> Tweening:
        """Registers `moving` to `fixed`, both on the network's grid."""
        matrix = moving.new_zeros(len(moving), 3, 3)
        translation = moving.new_zeros(len(moving), 3)
        dense_flow = moving.new_zeros(len(moving), 3, *moving.shape[2:])
        seen, stages, moved = self._see(fixed), [], moving
        if self.affine is not None:
            matrix, translation = self.affine(seen, self._see(moving))
            flow = naive_affine_flow(matrix, translation, dense_flow)
            moved = naive_warp(moving, flow)
            stages.append(
                Stage(
                    name="affine",
                    is_affine=True,
                    own_flow=flow,
                    flow=flow,
                    moved=moved,
                    parts=FlowParts(matrix, translation, dense_flow),
                )
            )
        passes = [dense for dense in self.dense for _ in range(self.config.repeats)]
        for number, subnetwork in enumerate(passes):
            own_flow = subnetwork(seen, self._see(moved))
            dense_flow = naive_compose(dense_flow, own_flow) if number else own_flow
            flow = dense_flow
            if self.affine is not None:
                flow = naive_affine_flow(matrix, translation, dense_flow)
            moved = naive_warp(moving, flow)
            stages.append(
                Stage(
                    name=self.config.dense_stage_names[number],
                    is_affine=False,
                    own_flow=own_flow,
                    flow=flow,
                    moved=moved,
                    parts=FlowParts(matrix, translation, dense_flow),
                )
            )
        return Tweening(flow, moved, tuple(stages))

    def _see(self, image: Tensor) -> Tensor:
        """An image as the subnetworks get it."""
        return naive_edges(image) if self.config.sees == "edges" else image


def naive_copy(network: VolumeTweeningNetwork) -> NaiveCascade:
    """Returns a plain PyTorch network with the same weights."""
    copy = NaiveCascade(network.config)
    copy.load_state_dict(network.state_dict())
    return copy


def naive_objective(
    tweening: Tweening, fixed: Float[Tensor, "b 1 i j k"]
) -> Float[Tensor, ""]:
    """Sum of the losses of Table I (the objective VTN_LIVER)."""
    weights = VTN_LIVER
    dense = [stage for stage in tweening.stages if not stage.is_affine]
    terms = [
        weights.total_variation * naive_total_variation_loss(stage.own_flow)
        for stage in dense
    ]
    for weight, stage in zip(weights.dense_similarity, reversed(dense), strict=False):
        terms.append(weight * naive_correlation_loss(fixed, stage.moved))
    for stage in tweening.stages:
        if stage.is_affine:
            similarity = naive_correlation_loss(fixed, stage.moved)
            terms.append(weights.affine_similarity * similarity)
            terms.append(weights.orthogonality * orthogonality_loss(stage.parts.matrix))
            terms.append(weights.determinant * determinant_loss(stage.parts.matrix))
    return torch.stack(terms).sum()


class _PaddedAtEnds(nn.Conv3d):
    """Zeros at the ends of axes alone, as TensorFlow pads even sides at stride 2."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(pad(x, [0, 1] * 3))


def _convolution(
    inputs: int, outputs: int, stride: int, padding: Padding = "symmetric"
) -> nn.Sequential:
    if stride > 1 and padding == "same-tf":
        layer: nn.Conv3d = _PaddedAtEnds(inputs, outputs, 3, stride=stride)
    else:
        layer = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1)
    return nn.Sequential(layer, nn.LeakyReLU(0.1))


def _doubling(inputs: int, outputs: int) -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(inputs, outputs, 4, stride=2, padding=1, bias=False)
