"""Settings of a training as options: the changes to a plan that has only defaults."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from voltween.cohorts import cases_of_split, read_manifest
from voltween.errors import InputError
from voltween.networks import (
    CascadeConfig,
    NetworkConfig,
    Padding,
    VoxelMorphConfig,
)
from voltween.preprocessing import Placement, Preprocessing
from voltween.training.objective import SUPERVISED
from voltween.training.plan_file import read_plan
from voltween.training.planning import FLOW_MULTIPLIER, fit_preprocessing
from voltween.training.recipe import (
    RCN_TRAINING,
    VOXELMORPH_TRAINING,
    Recipe,
    TrainConfig,
)

NetworkName = Literal["vtn", "voxelmorph-2"]
ObjectiveName = Literal["vtn", "rcn"]

_OF_CASCADES = (
    "objective",
    "cascade",
    "channels",
    "levels",
    "affine_levels",
    "flow_multiplier",
    "repeats",
    "padding",
)


@dataclass(frozen=True)
class TrainingOptions:
    """Network and grid of a training without a plan.

    The grid is fitted to the cohort as far as it is not given.
    """

    network: NetworkName = "vtn"
    """vtn: the cascade. voxelmorph-2: for comparison (needs voltween[baselines]), by
    default 5000 steps of 4 pairs with its authors' objective."""
    objective: ObjectiveName = "vtn"
    """vtn: the paper's losses. rcn: those of the authors' later code, with its schedule
    (100 000 steps of 4 pairs), its augmentation, and as defaults its padding, affine
    levels and flow multiplier. Further options change single settings."""
    cascade: str = "ADD"
    """Subnetworks: at most one A (affine), then any number of D (dense)."""
    shape: tuple[int, int, int] | None = None
    """Voxels of the network's grid along R, A, S; fitted to the cohort if not given."""
    spacing_mm: tuple[float, float, float] | None = None
    """Voxel size of that grid; fitted to the cohort if not given."""
    placement: Placement = "grid centre"
    """Position of the grid on each scan: the center of the scan, the upper part of a
    head, or the center of the foreground."""
    hounsfield_window: tuple[float, float] | None = None
    """For CT: the Hounsfield units that are mapped to 0 and 1, such as -300 700."""
    channels: int = 16
    """Channels after the first halving."""
    levels: int = 6
    """Halvings of the grid, fewer if its shape does not allow as many."""
    affine_levels: int | None = None
    """Halvings of the affine subnetwork; if not given 5, or 6 with --objective rcn."""
    flow_multiplier: float | None = None
    """Factor on the output of every dense subnetwork, which scales how fast flows
    grow; if not given 10, or with --objective rcn 20 / number of dense subnetworks."""
    repeats: int = 1
    """Passes of every dense subnetwork, one after another with the same weights."""
    padding: Padding | None = None
    """Padding of the strided convolutions: symmetric, or that of TensorFlow, which is
    the default with --objective rcn."""
    supervised: bool = False
    """Learn flows computed by ANTs (needs voltween[baselines]), with the weights of the
    paper's supervised training and no other losses."""


def default_training(
    network: NetworkName, objective: ObjectiveName = "vtn", repeats: int = 1
) -> TrainConfig:
    """Settings of a training without a plan, as far as options do not change them."""
    if network == "voxelmorph-2":
        return VOXELMORPH_TRAINING
    if objective == "vtn":
        return TrainConfig()
    # One weight per pass of the last subnetwork.
    similarity = RCN_TRAINING.objective.dense_similarity * max(repeats, 1)
    return replace(
        RCN_TRAINING,
        objective=replace(RCN_TRAINING.objective, dense_similarity=similarity),
    )


def read_recipe(
    source: Path, options: TrainingOptions, training: TrainConfig
) -> tuple[Path, Recipe]:
    """Reads manifest and recipe of a training: a plan, or a manifest with options.

    Args:
        source: A plan, if its name ends in .toml; otherwise a manifest.
        options: Network and grid; beside a plan they must be the defaults.
        training: Further settings; beside a plan they must be the defaults.

    Returns:
        The path of the manifest, and the recipe.

    Raises:
        InputError: If the source cannot be read, an option is given beside a plan, the
            network does not have a given option, or a value is out of range.
    """
    if source.suffix != ".toml":
        return source, _recipe_from_options(source, options, training)
    for name in ("network", "objective"):
        if (value := getattr(options, name)) != "vtn":
            raise InputError(
                about=source,
                expected=f"no --{name}, as a plan is for a cascade",
                got=f"--{name} {value}",
                advice="give the manifest, and settings as options",
            )
    defaults = TrainingOptions(), default_training("vtn")
    if changed := [*_changed(options, defaults[0]), *_changed(training, defaults[1])]:
        raise InputError(
            about=_as_typed(changed),
            expected=f"no settings beside the plan {source}",
            got="options that the plan decides",
            advice="change them in the plan",
        )
    plan = read_plan(source)
    return plan.manifest, plan.recipe


def _recipe_from_options(
    manifest: Path, options: TrainingOptions, training: TrainConfig
) -> Recipe:
    is_synthesized = training.synthesis.share > 0
    cases = read_manifest(manifest, may_lack_scans=is_synthesized)
    fitted = fit_preprocessing(cases_of_split(cases, "train"))
    preprocessing = Preprocessing(
        shape=options.shape or fitted.shape,
        spacing_mm=options.spacing_mm or fitted.spacing_mm,
        placement=options.placement,
        hounsfield_window=options.hounsfield_window,
    )
    if options.supervised:
        if options.objective != "vtn":
            raise InputError(
                about="--supervised",
                expected="no --objective, as it stands for other losses",
                got=f"--objective {options.objective}",
            )
        training = replace(training, objective=SUPERVISED)
    return Recipe(preprocessing, _network(options, preprocessing.shape), training)


def _network(options: TrainingOptions, shape: tuple[int, int, int]) -> NetworkConfig:
    if options.network == "vtn":
        return _cascade(options, shape)
    changed = _changed(options, TrainingOptions(options.network))
    if of_cascades := [name for name in changed if name in _OF_CASCADES]:
        raise InputError(
            about=_as_typed(of_cascades),
            expected="options that the network has",
            got=f"options of cascades, with --network {options.network}",
            advice="leave them out",
        )
    return VoxelMorphConfig(shape)


def _cascade(options: TrainingOptions, shape: tuple[int, int, int]) -> CascadeConfig:
    names = ("channels", "levels", "affine_levels", "flow_multiplier", "repeats")
    values = {name: getattr(options, name) for name in (*names, "padding")}
    fields = {name: value for name, value in values.items() if value is not None}
    if options.objective == "rcn":
        return CascadeConfig.of_rcn(options.cascade, shape, **fields)
    return CascadeConfig(
        options.cascade, shape, **{"flow_multiplier": FLOW_MULTIPLIER} | fields
    )


def _changed(options: Any, defaults: Any) -> list[str]:
    """Names of the fields that differ from the defaults."""
    names = [item.name for item in fields(options)]
    return [name for name in names if getattr(options, name) != getattr(defaults, name)]


def _as_typed(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)
