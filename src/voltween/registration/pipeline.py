"""Registering two scans: where scanner space and tensors meet.

Each scan is put on its own canonical grid, the network runs and its answer is refined
on the pair, or a transform is sought without a network; what is found becomes a
transform between the scans' own worlds (see `canonical`).
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
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
from voltween.registration.canonical import (
    Grids,
    align_centers,
    regrid,
    world_transforms,
)
from voltween.registration.fitting import fit_to_pair
from voltween.registration.guidance import Guidance
from voltween.registration.pair_view import PairView
from voltween.registration.result import Registration, TweeningStage
from voltween.spatial import Image

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
    """Register `moving` to `fixed`; both as stored, of any orientation and spacing.

    With a `refinement` the network's answer is polished on this pair, as a stage of its
    own; without a model the transform is sought from nothing, affine part and dense
    part. The guidance is for the refinement; `on_step` is told of its every step.

    Raises:
        InputError: If an image is constant or looks like a label map, or there is
            neither model nor refinement, or guidance without a refinement or elsewhere.
    """
    start = time.perf_counter()
    guidance = guidance or Guidance()
    _check_can_run(model, refinement, guidance)
    _check_is_volume(fixed)
    seconds: dict[str, float] = {}
    with _timed(seconds, "preparing"):
        view = _view(fixed, moving, model, refinement)
        images = view.images()
    with _timed(seconds, "network"):
        found = {} if model is None else _network_stages(model, *images)
    stages = {name: (parts, view.grids) for name, parts in found.items()}
    with _timed(seconds, "refinement"):
        if refinement is not None:
            watch = Watch(on_step, start + (refinement.seconds or math.inf))
            last = [*found.values()][-1] if found else None
            stages |= _refined(view, last, guidance, refinement, watch)
    with _timed(seconds, "transforms"):
        world = [TweeningStage(n, *world_transforms(*at)) for n, at in stages.items()]
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
        raise InputError("without a model there is nothing but a refinement: give one")
    if refinement is None and not guidance.is_empty:
        raise InputError(
            "masks, labels, landmarks and further images guide a refinement, got none: "
            "give one"
        )
    images = 1 + len(guidance.fixed_channels)
    if refinement is not None and len(refinement.channel_weights) > images:
        raise InputError(
            f"channel_weights must be at most {images}, one an image of a side, got "
            f"{refinement.channel_weights}: give the further images, too"
        )


def _check_is_volume(fixed: Image) -> None:
    """Refuse a single slice: a transform of one has no Jacobian determinant."""
    if min(fixed.grid.shape) < 2:
        raise InputError(
            "fixed image must have at least 2 voxels along each axis, got "
            f"{' x '.join(map(str, fixed.grid.shape))}: give a whole volume"
        )


def _view(
    fixed: Image, moving: Image, model: Model | None, refinement: Refinement | None
) -> PairView:
    """Both scans as the model sees them; without one, as fits them."""
    if model is not None:
        rules = model.preprocessing, model.preprocessing
        return PairView.of(fixed, moving, rules, model.device)
    assert refinement is not None
    rules = fit_to_pair(fixed, moving, multiple=refinement.widest)
    return PairView.of(fixed, moving, rules, torch.device("cpu"))


def _network_stages(
    model: Model, fixed: Tensor, moving: Tensor
) -> dict[str, FlowParts]:
    stages = model.registrar(fixed, moving).stages
    names = model.network.config.stage_names
    return {n: stage.parts.clone() for n, stage in zip(names, stages, strict=True)}


def _refined(
    view: PairView,
    start: FlowParts | None,
    guidance: Guidance,
    refinement: Refinement,
    watch: Watch,
) -> dict[str, tuple[FlowParts, Grids]]:
    """The stages of the refinement, on its own grids."""
    finer = view.for_refinement(refinement)
    if start is not None and finer is not view:
        start = regrid(start, view.grids, finer.grids)
    problem = Problem(finer.evidence(guidance), refinement, watch)
    affine = find_affine_part(problem, start)
    refined = {REFINED: (find_dense_part(problem, affine), finer.grids)}
    return refined if start is not None else {AFFINE: (affine, finer.grids)} | refined


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
