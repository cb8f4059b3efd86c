"""Registration of two scans, where scanner space and tensors meet.

Each scan is put on its own canonical grid. There a network finds a transform and a
refinement optimizes it on the pair, or a refinement finds one without a network. The
result becomes a transform between the scans' own worlds (see `canonical`).
"""

import math
import time
from collections.abc import Callable

from voltween.errors import InputError
from voltween.models import Model
from voltween.refinement import WITHOUT_MODEL, Refinement, Step, Watch
from voltween.registration.candidates import run_network
from voltween.registration.canonical import world_transforms
from voltween.registration.fitting import fit_to_pair
from voltween.registration.guidance import Guidance, check_masks_meet
from voltween.registration.judge import Judge
from voltween.registration.pair_view import PairView, SideView
from voltween.registration.result import Registration, TweeningStage
from voltween.registration.search import Search
from voltween.registration.timing import Seconds, timing
from voltween.spatial import Image, align_centers

_LEAST_SIMILARITY = {"brain": 0.42, "hippocampus": 0.22, "headneck": 0.30, "none": 0.25}


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
        view.images()
        judge = Judge.of(fixed, moving)
    limit = math.inf if refinement is None else refinement.seconds or math.inf
    name = WITHOUT_MODEL if model is None else model.name
    search = Search(
        view,
        judge,
        model,
        refinement,
        guidance,
        Watch(on_step, start + limit),
        _LEAST_SIMILARITY.get(name, 0.3),
    )
    with timing(seconds, "search"):
        best = search.best()
    with timing(seconds, "refinement"):
        answer = search.refine(best)
    check_masks_meet(guidance, answer.fixed_to_moving)
    return Registration(
        fixed=fixed,
        moving=moving,
        model_name=name,
        before=align_centers(fixed.grid, moving.grid),
        stages=answer.world_stages,
        seconds=seconds,
        refinement=refinement,
        prepared_judge=judge,
    )


def register_by_network(fixed: Image, moving: Image, model: Model) -> Registration:
    """Registers by the network alone, whatever it finds, as the paper measures it.

    Raises:
        InputError: If an image is constant or looks like a label map.
    """
    _check_is_volume(fixed)
    seconds: dict[str, Seconds] = {}
    with timing(seconds, "preparing"):
        view = _view_pair(fixed, moving, model, None)
        images = view.images()
    with timing(seconds, "network"):
        stages = run_network(model, *images)
    with timing(seconds, "transforms"):
        world = [
            TweeningStage(name, *world_transforms(parts, view.grids))
            for name, parts in stages.items()
        ]
    return Registration(
        fixed=fixed,
        moving=moving,
        model_name=model.name,
        before=align_centers(fixed.grid, moving.grid),
        stages=tuple(world),
        seconds=seconds,
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
