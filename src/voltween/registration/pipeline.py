"""Registration of two scans, where scanner space and tensors meet.

Each scan is put on its own canonical grid. There a network finds a transform and a
refinement optimizes it on the pair, or a refinement finds one without a network. The
result becomes a transform between the scans' own worlds (see `canonical`).
"""

import math
import time
from collections.abc import Callable

from torch import Tensor

from voltween.errors import InputError
from voltween.models import Model
from voltween.ops import FlowParts
from voltween.refinement import (
    WITHOUT_MODEL,
    Problem,
    Refinement,
    Step,
    Watch,
    find_affine_part,
    find_dense_part,
)
from voltween.registration.canonical import Grids, regrid, world_transforms
from voltween.registration.fitting import fit_to_pair
from voltween.registration.guidance import Guidance, check_masks_meet
from voltween.registration.pair_view import PairView, SideView
from voltween.registration.result import Registration, TweeningStage
from voltween.registration.timing import Seconds, timing
from voltween.spatial import Image, align_centers

AFFINE, REFINED = "affine", "refined"
"""Names of the stages that are not a network's."""


def register(
    fixed: Image,
    moving: Image,
    *,
    model: Model | None,
    refinement: Refinement | None = None,
    guidance: Guidance | None = None,
    on_step: Callable[[Step], object] = lambda step: None,
) -> Registration:
    """Registers `moving` to `fixed`; both as stored, of any orientation and spacing.

    A `refinement` optimizes the network's transform on this pair, as a stage of its
    own. Without a model, the refinement finds the affine and the dense part itself. The
    `guidance` is for the refinement, and `on_step` is called after each of its steps.

    Raises:
        InputError: If an image is constant or looks like a label map, if there is
            neither model nor refinement, or if guidance has no refinement to guide or
            does not lie where the scan is.
    """
    start = time.perf_counter()
    guidance = guidance or Guidance()
    _check_can_run(model, refinement, guidance)
    _check_is_volume(fixed)
    seconds: dict[str, Seconds] = {}
    with timing(seconds, "preparing"):
        view = _view_pair(fixed, moving, model, refinement)
        images = view.images()
    with timing(seconds, "network"):
        by_network = {} if model is None else _run_network(model, *images)
    stages = {name: (parts, view.grids) for name, parts in by_network.items()}
    with timing(seconds, "refinement"):
        if refinement is not None:
            watch = Watch(on_step, start + (refinement.seconds or math.inf))
            last = [*by_network.values()][-1] if by_network else None
            stages |= _refine(view, last, guidance, refinement, watch)
    with timing(seconds, "transforms"):
        world = [TweeningStage(n, *world_transforms(*at)) for n, at in stages.items()]
    check_masks_meet(guidance, world[-1].fixed_to_moving)
    return Registration(
        fixed=fixed,
        moving=moving,
        model_name=WITHOUT_MODEL if model is None else model.name,
        before=align_centers(fixed.grid, moving.grid),
        stages=tuple(world),
        seconds=seconds,
        refinement=refinement,
    )


def _check_can_run(
    model: Model | None, refinement: Refinement | None, guidance: Guidance
) -> None:
    if refinement is None and model is None:
        raise InputError(
            about="registration without a model",
            expected="a refinement",
            got="none",
            advice="give one, such as ACCURATE_ALONE",
        )
    if refinement is None and not guidance.is_empty:
        raise InputError(
            about="guidance",
            expected="a refinement to guide",
            got="none",
            advice="give one, such as ACCURATE",
        )
    images = 1 + len(guidance.fixed.channels)
    if refinement is not None and len(refinement.channel_weights) > images:
        raise InputError(
            about="channel_weights",
            expected=f"at most {images}, one per image of a side",
            got=refinement.channel_weights,
            advice="give the further channels as well",
        )


def _check_is_volume(fixed: Image) -> None:
    """Checks for a single slice, as its transform has no Jacobian determinant."""
    if min(fixed.grid.shape) < 2:
        raise InputError(
            about="fixed image",
            expected="at least 2 voxels along each axis",
            got=" x ".join(map(str, fixed.grid.shape)),
            advice="give a whole volume",
        )


def _view_pair(
    fixed: Image, moving: Image, model: Model | None, refinement: Refinement | None
) -> PairView:
    """Both scans as the model sees them; without a model, as a refinement needs them.

    One of model and refinement is given.
    """
    if model is not None:
        rule, device = model.preprocessing, model.device
        sides = [SideView.of(scan, rule, device) for scan in (fixed, moving)]
        return PairView(*sides)
    assert refinement is not None
    view = fit_to_pair(fixed, moving, multiple=refinement.largest_shrink)
    return view.for_refinement(refinement)


def _run_network(model: Model, fixed: Tensor, moving: Tensor) -> dict[str, FlowParts]:
    """The network's transform after each stage, by the stages' names."""
    stages = model.registrar(fixed, moving).stages
    names = model.network.config.stage_names
    return {n: stage.parts.clone() for n, stage in zip(names, stages, strict=True)}


def _refine(
    view: PairView,
    start: FlowParts | None,
    guidance: Guidance,
    refinement: Refinement,
    watch: Watch,
) -> dict[str, tuple[FlowParts, Grids]]:
    """The stages of the refinement, each with the grids on which it is."""
    finer = view.for_refinement(refinement)
    if start is not None and finer is not view:
        start = regrid(start, view.grids, finer.grids)
    problem = Problem(finer.tensors(guidance), refinement, watch)
    affine = find_affine_part(problem, start)
    refined = {REFINED: (find_dense_part(problem, affine), finer.grids)}
    return refined if start is not None else {AFFINE: (affine, finer.grids)} | refined
