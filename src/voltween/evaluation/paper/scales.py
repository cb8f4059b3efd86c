"""Scales of the paper's tables: size of the networks and length of the training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from voltween.cohorts import Case
from voltween.evaluation.paper.table_file import VOXELMORPH_2, TableRow
from voltween.networks import CascadeConfig, NetworkConfig, VoxelMorphConfig
from voltween.preprocessing import Preprocessing
from voltween.training import (
    FLOW_MULTIPLIER,
    PUBLISHED_TRAINING,
    SHIPPED_AUGMENTATION,
    SHIPPED_LEARNING_RATE,
    SUPERVISED,
    VOXELMORPH,
    VOXELMORPH_TRAINING,
    VTN_LIVER,
    Objective,
    Recipe,
    TrainConfig,
)

ScaleName = Literal["small", "full"]


@dataclass(frozen=True)
class Scale:
    """Size of the networks and length of their training."""

    coarsening: int
    """Voxel size as a multiple of that of the scans."""
    channels: int
    training: TrainConfig
    voxelmorph_steps: int
    voxelmorph_pairs_per_step: int


SCALES: dict[ScaleName, Scale] = {
    # For two processor cores; all networks see the same number of pairs.
    "small": Scale(
        coarsening=2,
        channels=8,
        training=TrainConfig(
            steps=1000,
            pairs_per_step=2,
            learning_rate=SHIPPED_LEARNING_RATE,
            augmentation=SHIPPED_AUGMENTATION,
            validate_every=500,
            kept_states=1,
        ),
        voxelmorph_steps=500,
        voxelmorph_pairs_per_step=4,
    ),
    # The paper's (sections V-A1 and V-A3), on the finest grid that fits the cohort.
    "full": Scale(
        coarsening=1,
        channels=16,
        training=replace(
            PUBLISHED_TRAINING,
            augmentation=SHIPPED_AUGMENTATION,
            validate_every=2000,
        ),
        voxelmorph_steps=VOXELMORPH_TRAINING.steps,
        voxelmorph_pairs_per_step=VOXELMORPH_TRAINING.pairs_per_step,
    ),
}


def recipe_of(row: TableRow, fitted: Preprocessing, scale: Scale) -> Recipe:
    """The recipe of a row's network; `fitted` is the finest grid of the cohort."""
    i, j, k = (side // scale.coarsening for side in fitted.shape)
    r, a, s = (mm * scale.coarsening for mm in fitted.spacing_mm)
    network = _network(row, (i, j, k), scale)
    training = replace(scale.training, objective=_objective(row))
    if row.network == VOXELMORPH_2:
        training = replace(
            training,
            steps=scale.voxelmorph_steps,
            pairs_per_step=scale.voxelmorph_pairs_per_step,
        )
    preprocessing = replace(fitted, shape=network.shape, spacing_mm=(r, a, s))
    return Recipe(preprocessing, network, training)


def _network(row: TableRow, shape: tuple[int, int, int], scale: Scale) -> NetworkConfig:
    assert row.network is not None
    if row.network == VOXELMORPH_2:
        return VoxelMorphConfig.covering(shape)
    most = int(np.log2(min(shape) / 2))
    return CascadeConfig(
        row.network,
        shape,
        channels=scale.channels,
        levels=min(most, CascadeConfig.levels),
        affine_levels=min(most, CascadeConfig.affine_levels),
        flow_multiplier=FLOW_MULTIPLIER,
    )


def share_of(cases: Sequence[Case], share: float) -> list[Case]:
    """The cases with a share of the `train` cases; shares contain smaller shares."""
    train_cases = [case.name for case in cases if case.split == "train"]
    order = np.random.default_rng(0).permutation(len(train_cases))
    chosen = {train_cases[n] for n in order[: round(share * len(train_cases))]}
    return [case for case in cases if case.split != "train" or case.name in chosen]


def _objective(row: TableRow) -> Objective:
    if row.network == VOXELMORPH_2:
        return VOXELMORPH
    if row.supervised:
        return SUPERVISED
    return replace(VTN_LIVER, invertibility=row.invertibility)
