"""Scales of the paper's tables: size of the networks and length of the training."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from voltween.baselines import PUBLISHED_ITERATIONS
from voltween.cohorts import Case
from voltween.errors import InputError
from voltween.evaluation.paper.settings import ExperimentSettings
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
    fit_box,
    fit_preprocessing,
)

ScaleName = Literal["small", "paper"]

PAPER_SHAPE = (128, 128, 128)
"""Voxels of every scan of the paper, whose landmark distances are in these voxels."""

_FEWEST_COARSEST_VOXELS = 2


@dataclass(frozen=True)
class Scale:
    """Size of the networks and length of their training."""

    shape: tuple[int, int, int] | None
    """Voxels of the networks' grid; None for half the resolution of the scans."""
    channels: int
    flow_multiplier: float
    training: TrainConfig
    voxelmorph_steps: int
    voxelmorph_pairs_per_step: int
    spacing_mm: tuple[float, float, float] | None = None
    """Voxel size; None for the widest field of view divided by the shape."""
    hounsfield_window: tuple[float, float] | None = None
    levels: int = 6
    affine_levels: int = 5
    elastix_iterations: int = PUBLISHED_ITERATIONS

    def changed_by(self, settings: ExperimentSettings) -> "Scale":
        """The scale with the given settings in place of its own."""
        given = settings.given
        own = {f.name for f in fields(self)} & given.keys()
        of_training = {f.name for f in fields(TrainConfig)} & given.keys()
        training = replace(self.training, **{name: given[name] for name in of_training})
        return replace(self, training=training, **{name: given[name] for name in own})

    def fit(self, cases: Sequence[Case]) -> Preprocessing:
        """The grid of the networks for a cohort of training cases."""
        if self.shape is None:
            finest = fit_preprocessing(cases)
            i, j, k = (side // _COARSENING for side in finest.shape)
            r, a, s = (mm * _COARSENING for mm in finest.spacing_mm)
            fitted = replace(finest, shape=(i, j, k), spacing_mm=(r, a, s))
        else:
            fitted = fit_box(cases, self.shape)
        return replace(
            fitted,
            spacing_mm=self.spacing_mm or fitted.spacing_mm,
            hounsfield_window=self.hounsfield_window,
        )


_COARSENING = 2  # of the small scale: voxel size as a multiple of that of the scans

SCALES: dict[ScaleName, Scale] = {
    # For two processor cores; all networks see the same number of pairs.
    "small": Scale(
        shape=None,
        channels=8,
        flow_multiplier=FLOW_MULTIPLIER,
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
    # Sections V-A1, V-A3 and V-B; the paper does not say how often it validated.
    "paper": Scale(
        shape=PAPER_SHAPE,
        channels=16,
        flow_multiplier=1.0,
        training=replace(PUBLISHED_TRAINING, validate_every=2000),
        voxelmorph_steps=VOXELMORPH_TRAINING.steps,
        voxelmorph_pairs_per_step=VOXELMORPH_TRAINING.pairs_per_step,
    ),
}


def recipe_of(row: TableRow, fitted: Preprocessing, scale: Scale) -> Recipe:
    """The recipe of a row's network on a grid that `Scale.fit` found."""
    network = _network(row, fitted.shape, scale)
    training = replace(scale.training, objective=_objective(row))
    if row.network == VOXELMORPH_2:
        training = replace(
            training,
            steps=scale.voxelmorph_steps,
            steps_per_epoch=None,  # of the cascades
            pairs_per_step=scale.voxelmorph_pairs_per_step,
        )
    if not row.supervised:  # so that their number does not retrain other rows
        training = replace(training, target_pairs=TrainConfig().target_pairs)
    if training.pairs_at_once is not None:
        at_once = min(training.pairs_at_once, training.pairs_per_step)
        training = replace(training, pairs_at_once=at_once)
    return Recipe(replace(fitted, shape=network.shape), network, training)


def cases_of_row(row: TableRow, cases: Sequence[Case]) -> list[Case]:
    """All cases but the `train` cases that the row does not train on.

    Raises:
        InputError: If the row names a cohort without `train` cases.
    """
    train_cases = [case for case in cases if case.split == "train"]
    cohorts = {case.cohort for case in train_cases}
    if absent := [name for name in row.train if name not in cohorts]:
        raise InputError(
            about=f"row {row.name!r}",
            expected=f"`train` cases of the cohorts {', '.join(row.train)} (column "
            "cohort of the manifest)",
            got=f"none of {', '.join(absent)}",
            advice="join the cohorts with `voltween join`",
        )
    if row.train:
        train_cases = [case for case in train_cases if case.cohort in row.train]
    chosen = share_of([case.name for case in train_cases], row.train_share)
    return [case for case in cases if case.split != "train" or case.name in chosen]


def share_of(names: Sequence[str], share: float) -> set[str]:
    """A share of the names, drawn with a fixed seed; it contains smaller shares."""
    order = np.random.default_rng(0).permutation(len(names))
    return {names[n] for n in order[: round(share * len(names))]}


def _network(row: TableRow, shape: tuple[int, int, int], scale: Scale) -> NetworkConfig:
    assert row.network is not None
    if row.network == VOXELMORPH_2:
        return VoxelMorphConfig.covering(shape)
    most = int(np.log2(min(shape) / _FEWEST_COARSEST_VOXELS))
    return CascadeConfig(
        row.network,
        shape,
        channels=scale.channels,
        levels=min(most, scale.levels),
        affine_levels=min(most, scale.affine_levels),
        flow_multiplier=scale.flow_multiplier,
    )


def _objective(row: TableRow) -> Objective:
    if row.network == VOXELMORPH_2:
        return VOXELMORPH
    if row.supervised:
        return SUPERVISED
    return replace(VTN_LIVER, invertibility=row.invertibility)
