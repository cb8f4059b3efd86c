"""Registration of two scans, where scanner space and tensors meet.

Each scan is put on its own canonical grid. There a network finds a transform and a
refinement optimizes it on the pair, or a refinement finds one without a network. The
answer is the best of several candidates (see `search`), as a transform between the
scans' own worlds (see `canonical`).
"""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from voltween.errors import AssumptionWarning, FitWarning, InputError, check_type
from voltween.io import ImageLike, to_image
from voltween.models import FeatureModel, Model, choose_model, load_model
from voltween.preprocessing import without_padding
from voltween.refinement import WITHOUT_MODEL, Refinement, Step, Watch
from voltween.registration.alike import Alike, Find, cut_alike
from voltween.registration.candidates import run_network
from voltween.registration.canonical import world_transforms
from voltween.registration.fitting import fit_to_pair
from voltween.registration.guidance import Guidance, check_masks_meet
from voltween.registration.initial import Relocation
from voltween.registration.judge import Judge
from voltween.registration.pair_view import PairView, SideView
from voltween.registration.result import Registration, TweeningStage
from voltween.registration.scan_features import ScanFeatures
from voltween.registration.search import Search
from voltween.registration.settling import (
    AUTO,
    ModelChoice,
    RefinementChoice,
    SettledModel,
    check_can_run,
    settle_features,
    settle_model,
    settle_refinement,
)
from voltween.registration.timing import Seconds, timing
from voltween.registration.usual import usual_of
from voltween.spatial import Affine, Image, align_centers
from voltween.storage import PathLike, naming


def register(
    fixed: ImageLike,
    moving: ImageLike,
    *,
    model: ModelChoice = AUTO,
    refinement: RefinementChoice = AUTO,
    guidance: Guidance | None = None,
    on_step: Callable[[Step], object] = lambda step: None,
) -> Registration:
    """Registers `moving` to `fixed`; both as stored, of any orientation and spacing.

    Args:
        fixed: The scan to register to: an `Image`, a file, an array with its grid or
            affine, or an image of nibabel or SimpleITK.
        moving: The scan to be registered.
        model: A model, its name or its file. "auto" is the shipped model that learned
            from such scans, or none; None optimizes on the pair alone.
        refinement: Settings or effort of the optimization on the pair. "auto" is what
            gains most with the model; None leaves the network's answer as it is.
        guidance: Masks, structures, landmarks and channels for the refinement, and a
            transform to start from. Without this, the poses of the scans are found.
        on_step: Called with a `Step` after each step of the refinement. What it raises
            ends the registration.

    Returns:
        The registration, whose `verdict` says whether it can be trusted.

    Raises:
        InputError: If a scan cannot be used or is constant, if the model or the learned
            features cannot be right for the scans, if there is neither model nor
            refinement, or if guidance has no refinement to guide or lies elsewhere.
    """
    guidance, seconds = _checked(guidance, on_step), dict[str, Seconds]()
    fixed, moving = to_image(fixed), to_image(moving)
    alike = _settled_pair(model) or shown_alike(fixed, moving, guidance, model=model)
    seconds |= _tell_of_cut(alike)
    with timing(seconds, "preparing"):
        shown = without_padding(alike.fixed), without_padding(alike.moving)
        settled = settle_model(model, *shown)
        settings = settle_refinement(refinement, settled, guidance)
        pair = Relocation(*shown, guidance)
        search, features_name = _prepare(pair, settled, settings, on_step)
    with timing(seconds, "search"):
        best = search.best()
    with timing(seconds, "refinement"):
        stages = pair.undo(search.refine(best).world_stages)
    check_masks_meet(guidance, stages[-1].fixed_to_moving)
    return Registration(
        fixed=fixed,
        moving=moving,
        model_name=settled.name,
        model_reason=settled.reason,
        before=pair.initial or align_centers(fixed.grid, moving.grid),
        stages=stages,
        seconds=seconds,
        refinement=search.refinement,
        features_name=features_name,
        cut=alike.cut,
        prepared_judge=_judge_of_result(pair, search, alike),
    )


def _settled_pair(model: ModelChoice) -> Alike | None:
    return model.alike if isinstance(model, SettledModel) else None


def shown_alike(
    fixed: Image,
    moving: Image,
    guidance: Guidance,
    *,
    model: ModelChoice = AUTO,
    load: Callable[[PathLike], Model] = load_model,
) -> Alike:
    """The pair as `register` compares it: a whole scan is cut like one that was cut.

    The two are registered for it, if one is a stripped brain, for example, and the
    other a whole head, and no mask is given: by the model that knows scans of both
    kinds, by the one that is wanted, or without one; if none is wanted, without one.
    """

    def find_by(
        name: ModelChoice, fixed: Image, moving: Image, guidance: Guidance
    ) -> Registration:
        settled = settle_model(name, fixed, moving, load=load)
        return register(
            fixed, moving, model=settled, refinement="fast", guidance=guidance
        )

    def find_by_choice(fixed: Image, moving: Image, guidance: Guidance) -> Registration:
        chosen = choose_model(fixed, moving, must_be_alike=False).name
        return find_by(chosen, fixed, moving, guidance)

    ways: list[Find] = [partial(find_by, None)]
    if model is not None and model != WITHOUT_MODEL:
        given = [] if model == AUTO else [partial(find_by, model)]
        ways = [find_by_choice, *given, *ways]
    return cut_alike(fixed, moving, guidance, ways)


def _tell_of_cut(alike: Alike) -> dict[str, Seconds]:
    """Warns of a scan that was or should be cut; returns the time, by its name."""
    if not alike.is_mixed:
        return {}
    if alike.cut is None:
        warnings.warn(
            "one scan was cut out, as a stripped brain is, and was not found in the "
            "other, which shows far more: the scans are compared as they are. Strip "
            "both, or give a mask of what the cut scan shows",
            AssumptionWarning,
            stacklevel=3,
        )
        return {"cutting": alike.seconds}
    other = "moving" if alike.cut == "fixed" else "fixed"
    warnings.warn(
        f"the {other} scan was cut out, as a stripped brain is, and the {alike.cut} "
        "scan shows far more: what lies outside was taken out of it for the "
        "registration. With a mask of either scan, the whole scans are compared within "
        "it instead",
        AssumptionWarning,
        stacklevel=3,
    )
    return {"cutting": alike.seconds}


def _judge_of_result(pair: Relocation, search: Search, alike: Alike) -> Judge | None:
    """The judge of the answer between the scans' own worlds; None for that of both."""
    if not pair.has_initial:
        return search.judge
    return None if alike.cut is None else Judge.of(alike.fixed, alike.moving)


def _checked(guidance: Guidance | None, on_step: object) -> Guidance:
    """The guidance, or an empty one, after a check of what is used late."""
    guidance = Guidance() if guidance is None else guidance
    check_type(
        guidance,
        Guidance,
        about="guidance",
        expected="Guidance or None",
        advice="such as Guidance(fixed=Side(mask=mask))",
    )
    check_type(
        on_step,
        Callable,  # type: ignore[arg-type]
        about="on_step",
        expected="a function that takes a Step",
    )
    return guidance


def register_by_network(fixed: Image, moving: Image, model: Model) -> Registration:
    """Registers by the network alone, whatever it finds, as the paper measures it.

    Raises:
        InputError: If an image is constant.
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


def _with_features(search: Search, pair: Relocation) -> tuple[Search, str | None]:
    """The search with the features of both scans, and their name, if it needs any.

    Raises:
        InputError: If there are none for such scans, or a scan cannot be registered to
            their template.
    """
    name = WITHOUT_MODEL if search.model is None else search.model.name
    features = settle_features(search.refinement, pair.fixed, pair.moving, name)
    if features is None:
        return search, None
    described = {}
    for side, scan in (("fixed", pair.fixed), ("moving", pair.moving)):
        with naming(side):
            described[side] = _describe(side, scan, features)
    view = search.view.with_features(**described)
    return replace(search, view=view), features.name


def _describe(side: str, scan: Image, features: FeatureModel) -> ScanFeatures:
    """The features of a scan, which is registered to their template first.

    A `FitWarning` says that a scan of another contrast is hardly like the template.
    It is not refused: right answers of some contrasts are no more alike.

    Raises:
        InputError: If the scan cannot be registered to the template.
    """
    with warnings.catch_warnings():
        # A stripped scan is told to be compared with one that shows more: with the
        # template, which nobody gave. The verdict says whether the scan was found.
        warnings.simplefilter("ignore", AssumptionWarning)
        result = _place(scan, features)
    is_lost = result.verdict.grade == "failed"
    similarity = result.verdict.evidence.similarity_seen
    # Across contrasts, a verdict is "failed" far below this: here nobody sees doubts.
    is_unlike = is_lost or similarity < usual_of(result.model_name).refined.lost
    if is_unlike and features.is_for_any_contrast:
        warnings.warn(
            f"the learned features of the {side} scan may lie in the wrong place: the "
            "scan is hardly like their template, as scans of some contrasts are. "
            "Compare the result with that of another similarity",
            FitWarning,
            stacklevel=4,
        )
    elif is_lost:
        raise InputError(
            about="learned features",
            expected=f"scans like those that the features of {features.name} learned "
            "from",
            got="one that cannot be registered to their template: "
            + "; ".join(result.verdict.reasons),
            advice="take another similarity",
        )
    volume = features.of(scan, result.fixed_to_moving)
    return ScanFeatures(volume, result.fixed_to_moving.unchecked_inverse())


def _place(scan: Image, features: FeatureModel) -> Registration:
    """Registers a scan to the template of features.

    Features of any contrast have a model of any contrast. One that knows scans like
    this one puts it closer, and is preferred if its answer is good.
    """
    template, chosen = features.template, None
    if features.is_for_any_contrast:
        chosen = choose_model(template, scan, must_be_alike=False).name
    if chosen is not None and chosen != features.name:
        aligner = SettledModel(load_model(chosen), "it knows such scans")
        result = register(template, scan, model=aligner, refinement="fast")
        if result.verdict.grade == "good":
            return result
    aligner = SettledModel(load_model(features.name), "that of the features")
    return register(template, scan, model=aligner, refinement="fast")


def _prepare(
    pair: Relocation,
    settled: SettledModel,
    refinement: Refinement | None,
    on_step: Callable[[Step], object],
) -> tuple[Search, str | None]:
    """The search on a pair, seen as the model needs it, and the name of features."""
    start = time.perf_counter()
    check_can_run(settled, refinement, pair.guidance)
    _check_is_volume(pair.fixed)
    view = _view_pair(pair.fixed, pair.moving, settled.model, refinement)
    if pair.has_initial:
        view = view.with_moving_at(Affine.identity())
    view.images()  # raises if a scan cannot be used
    if refinement is not None:
        view.for_refinement(refinement)  # raises if its voxels cannot be
    limit = math.inf if refinement is None else refinement.seconds or math.inf
    search = Search(
        view=view,
        judge=_judge(pair, refinement),
        model=settled.model,
        refinement=refinement,
        guidance=pair.guidance,
        watch=Watch(on_step, start + limit),
        usual=usual_of(settled.name),
        has_initial=pair.has_initial,
    )
    return _with_features(search, pair)


def _judge(pair: Relocation, refinement: Refinement | None) -> Judge:
    """The judge of the pair, by its images of the greatest weight, within the masks."""
    fixed, moving = pair.guidance.fixed, pair.guidance.moving
    weights = () if refinement is None else refinement.channel_weights
    first = int(np.argmax(weights)) if weights else 0
    images = ((pair.fixed, *fixed.channels), (pair.moving, *moving.channels))
    return Judge.of(images[0][first], images[1][first], (fixed.mask, moving.mask))


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
