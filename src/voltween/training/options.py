"""Settings of a training as options: the changes to a plan that has only defaults."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from voltween.cohorts import cases_of_split, read_manifest
from voltween.errors import InputError
from voltween.models import in_one_line
from voltween.networks import (
    CascadeConfig,
    NetworkConfig,
    Padding,
    Sight,
    VoxelMorphConfig,
)
from voltween.preprocessing import Placement, Preprocessing
from voltween.training.fine_tuning import fine_tuned
from voltween.training.fingerprint import measure_fingerprint
from voltween.training.initial_network import has_weights_for, other_settings
from voltween.training.model_references import reference_of
from voltween.training.objective import SUPERVISED
from voltween.training.overrides import overridden
from voltween.training.plan_file import TrainingPlan, read_plan
from voltween.training.planning import FLOW_MULTIPLIER, Notes, fit_preprocessing
from voltween.training.planning import plan as plan_training
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
    "sees",
)

_OF_WEIGHTS = {
    *("shape", "cascade", "channels", "levels", "affine_levels", "repeats", "padding")
}
"""Options that a model's weights do not allow to change."""


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
    sees: Sight = "intensities"
    """What the subnetworks see of an image: its intensities, or its edges, which a
    change of contrast mostly leaves as they are."""
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
    source: Path,
    options: TrainingOptions,
    training: TrainConfig,
    *,
    named: Collection[str] = (),
    fine_tune: str | None = None,
) -> tuple[Path, Recipe]:
    """Reads manifest and recipe of a training: a plan, or a manifest with options.

    Args:
        source: A plan, if its name ends in .toml; otherwise a manifest.
        options: Network and grid.
        training: Further settings.
        named: Names of the options that were given (see `overrides`). Beside a plan or
            a model to fine-tune, only these count.
        fine_tune: Model whose grid, preprocessing and cascade are taken, and whose
            weights training starts from.

    Returns:
        The path of the manifest, and the recipe, whose remarks tell what was adapted
        or overridden.

    Raises:
        InputError: If the source or the model cannot be read, the network does not
            have a given option, or a value is out of range.
    """
    is_plan = source.suffix == ".toml"
    if not is_plan and fine_tune is None:
        return source, _recipe_from_options(source, options, training)
    for name in ("network", "objective", "supervised"):
        if name in named:
            raise InputError(
                about=source,
                expected=f"no --{name}, as a plan is for a cascade and has its "
                "objective",
                got=f"--{name}",
                advice="give the manifest, and settings as options",
            )
    plan = read_plan(source) if is_plan else None
    remarks = []
    if fine_tune is not None:
        plan, notes = _fine_tuned(source, plan, fine_tune)
        remarks += [f"{key}: {note}" for key, note in notes.items()]
    assert plan is not None
    planned = plan
    plan, changed = overridden(planned, options, training, named)
    _check_start(planned, plan, named)
    remarks += [f"command line: {each}" for each in changed]
    return plan.manifest, replace(plan.recipe, remarks=tuple(remarks))


def _check_start(
    planned: TrainingPlan, plan: TrainingPlan, named: Collection[str]
) -> None:
    """Checks that options leave the network of the model that training starts from."""
    start = plan.training.start_from
    given = sorted(_OF_WEIGHTS & set(named))
    if not given or start is None or start != planned.training.start_from:
        return
    if has_weights_for(start, plan.cascade):
        return
    if not has_weights_for(start, planned.cascade):
        return  # the plan is at fault, which the start of the training tells
    differences = other_settings(plan.cascade, planned.cascade)
    raise InputError(
        about=_as_typed(given),
        expected=f"the network of {start}, whose weights this training starts from",
        got=in_one_line(differences),
        advice="leave the options out: --spacing-mm and --placement change what the "
        "grid covers; or train from nothing, without --fine-tune and start_from",
    )


def _fine_tuned(
    source: Path, written: TrainingPlan | None, model: str
) -> tuple[TrainingPlan, Notes]:
    """The plan to fine-tune a model on a manifest, or on that of a written plan."""
    reference = reference_of(model)
    if (
        written is not None
        and written.training.start_from == reference
        and has_weights_for(reference, written.cascade)
    ):
        name = Path(model).name  # without folders, which may tell of people
        return written, {"plan": f"made for a fine-tuning of {name}; used as it is"}
    manifest = source if written is None else written.manifest
    cases = read_manifest(manifest, may_lack_scans=True)
    fingerprint = measure_fingerprint(cases)
    if written is None:
        written, _ = plan_training(source, fingerprint, has_gpu=True)
    return fine_tuned(written, model, cases, fingerprint)


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
    values = {name: getattr(options, name) for name in (*names, "padding", "sees")}
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
