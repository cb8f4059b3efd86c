"""Settings of a refinement; `voltween.refinement.search` carries it out."""

import math
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any, Literal, NamedTuple, get_args

from voltween.errors import InputError, check_range, check_type
from voltween.losses import Similarity, SimilarityLoss, check_window, name_of_loss

FEATURES: Literal["features"] = "features"
"""Name of the similarity of learned features."""

ImageSimilarity = Similarity
"""Similarities of images."""

RefinementSimilarity = Literal[ImageSimilarity, "features"]
"""Similarities of images, and that of features which a network tells from them."""

FOR_ANY_CONTRAST = ("mutual information", "normalized mutual information", "MIND-SSC")
"""Similarities of images that are compared by what two contrasts share."""

FEATURE_WEIGHT = 8.0
"""Weight of the features' difference, 0 to 1, beside the terms of the flow."""

TransformKind = Literal["rigid", "similarity", "affine", "deformable"]
"""Kinds of transform, from 6 parameters (rigid) to an affine and a dense part."""


_MOST = 1e6  # of a weight, far above values of use


class AffineLevel(NamedTuple):
    """One pass of the search for the affine part."""

    shrink: int
    """Factor by which the images' voxels are wider than those of the grid."""
    steps: int
    """Most steps; the level ends early when the loss hardly falls."""
    step_voxels: float
    """About the largest displacement of the grid's border in one step."""
    is_close: bool = False
    """Whether the scans lie close enough for a local similarity.

    If not, normalized mutual information takes the place of one.
    """


class Level(NamedTuple):
    """One pass of the search for the dense part."""

    control_voxels: int
    """Distance of the control points; the update is linear between them."""
    steps: int
    """Most steps; the level ends early when the loss hardly falls."""
    step_voxels: float
    """About the largest displacement of a control point in one step."""
    shrink: int = 1
    """Factor by which the images' voxels are wider than those of the grid.

    All lengths of the level are in these wider voxels.
    """


@dataclass(frozen=True)
class Refinement:
    """Settings by which a transform is optimized on the pair itself.

    Raises:
        InputError: If there is no level of the kind of transform, a number is out of
            range, the symmetric variant is requested without velocities, or features or
            velocities for a transform without a dense part.
    """

    levels: tuple[Level, ...]
    """Levels of the dense part; each starts from the result of the one before."""
    affine_levels: tuple[AffineLevel, ...] = ()
    """Levels of the affine part, before the dense levels; without any, it stays."""
    transform: TransformKind = "deformable"
    """Kind of the result; only a deformable one has dense levels."""
    similarity: RefinementSimilarity | SimilarityLoss = "local correlation"
    """A name, or a function (fixed, moved) -> loss of PyTorch.

    A function is called with tensors (B, 1, I, J, K) with intensities from 0 to 1, and
    returns a scalar, the mean over the batch, smallest for images that agree. It
    compares whole images: masks are refused. While the scans still lie apart,
    normalized mutual information takes its place, as that of a local similarity.
    """
    beside_features: ImageSimilarity = "local correlation"
    """Similarity of the images that is compared beside learned features."""
    image_weight: float = 2.0
    """Weight of the images' similarity beside learned features; 0 for none."""
    window_voxels: int = 5
    """Side of the cubes of the local correlation: an odd number."""
    channel_weights: tuple[float, ...] = ()
    """Weights of the scan and of its further channels; missing weights are 1."""
    update_variation: float = 1.0
    """Weight of the total variation (eq. 10) of each level's update."""
    folding: float = 10.0
    """Weight of the Jacobian determinant's lack to 0.2, averaged over the voxels."""
    overlap: float = 1.0
    """Weight of 1 - Dice of structures, where label maps guide the refinement."""
    landmarks: float = 0.1
    """Weight of the landmarks' mean distance in voxels, where they guide it."""
    diffeomorphic: bool = False
    """Whether to optimize a stationary velocity field, which has an inverse; needs a
    deformable transform, as learned features do."""
    symmetric: bool = False
    """Whether to compare the images in both directions; needs velocities."""
    spacing_mm: float | Literal["own"] | None = None
    """Voxel size of the search; "own" is the fixed scan's, None the model's."""
    tolerance: float = 1e-4
    """A level ends when its loss, mean of 8 steps, fell by less over the 8 before."""
    seconds: float | None = None
    """Time limit, counted from the start of the registration; None: no limit."""

    def __post_init__(self) -> None:
        _check_similarity(self.similarity)
        _check_beside_features(self.beside_features)
        _check_levels(self.levels, self.affine_levels)
        _check_kind(self)
        check_window(self.window_voxels, "window_voxels")
        check_range("image_weight", self.image_weight, 0, _MOST)
        for weight in self.channel_weights:
            _check_positive("channel_weights", weight)
        for name in (
            "update_variation",
            "folding",
            "overlap",
            "landmarks",
            "tolerance",
        ):
            value = getattr(self, name)
            check_type(value, (int, float), about=name, expected="a number")
        for name in ("seconds", "spacing_mm"):
            value = getattr(self, name)
            if isinstance(value, int | float):
                _check_positive(name, value)
        if self.symmetric and not self.diffeomorphic:
            raise InputError(
                about="symmetric refinement",
                expected="velocities",
                got="displacements",
                advice="set diffeomorphic as well",
            )

    def facts(self) -> dict[str, Any]:
        """The settings as numbers and names, for records in JSON."""
        named = replace(self, similarity="local correlation")  # a copy of no function
        similarity = self.similarity
        name = similarity if isinstance(similarity, str) else name_of_loss(similarity)
        return {**asdict(named), "similarity": name}

    @property
    def largest_shrink(self) -> int:
        """Largest shrink factor of the levels; the grid's sides must be multiples."""
        dense = [level.shrink for level in self.levels]
        return max(dense + [level.shrink for level in self.affine_levels])

    @property
    def is_rigid(self) -> bool:
        """Whether shear and different scales of the axes are ruled out."""
        return self.transform in ("rigid", "similarity")

    @property
    def tolerates_any_contrast(self) -> bool:
        """Whether the images are compared by what two contrasts share."""
        similarity = self.similarity
        if similarity == FEATURES:
            similarity = self.beside_features
        return similarity in FOR_ANY_CONTRAST

    @property
    def steps(self) -> int:
        """Most steps of all levels of the dense part."""
        return sum(level.steps for level in self.levels)

    def with_steps(self, steps: int) -> "Refinement":
        """Returns the same refinement with `steps` steps, shared by the dense levels.

        Raises:
            InputError: If there are fewer steps than levels, or no dense levels.
        """
        if not self.levels:
            raise InputError(
                about="number of steps",
                expected="a deformable transform, whose dense part takes them",
                got=f"a transform that is {self.transform}",
                advice="leave the number out",
            )
        if steps < len(self.levels):
            raise InputError(
                about="refinement",
                expected=f"at least {len(self.levels)} steps, one per level",
                got=steps,
            )
        free = steps - len(self.levels)  # every level has at least one
        ends = list(accumulate(level.steps for level in self.levels))
        shares = [1 + free * end // self.steps for end in ends]
        levels = [
            level._replace(steps=1 + end - begin)
            for level, end, begin in zip(
                self.levels, shares, [1, *shares], strict=False
            )
        ]
        return replace(self, levels=tuple(levels))


def _check_similarity(similarity: object) -> None:
    names = get_args(RefinementSimilarity)
    if not callable(similarity) and similarity not in names:
        raise InputError(
            about="similarity",
            expected=f"one of {', '.join(names)}, or a function (fixed, moved) -> loss",
            got=repr(similarity),
        )


def _check_beside_features(similarity: object) -> None:
    names = get_args(ImageSimilarity)
    if similarity not in names:
        raise InputError(
            about="beside_features",
            expected=f"one of {', '.join(names)}",
            got=repr(similarity),
        )


def _check_kind(refinement: Refinement) -> None:
    is_deformable = refinement.transform == "deformable"
    if is_deformable and not refinement.levels:
        raise InputError(
            about="refinement", expected="levels of its dense part", got="none"
        )
    if not is_deformable and (refinement.levels or not refinement.affine_levels):
        raise InputError(
            about=f"refinement of a {refinement.transform} transform",
            expected="levels of its affine part alone",
            got=f"{len(refinement.levels)} of the dense and "
            f"{len(refinement.affine_levels)} of the affine part",
            advice="choose_refinement has the usual ones",
        )
    if not is_deformable:
        _check_bends_nothing(refinement)


def _check_bends_nothing(refinement: Refinement) -> None:
    """Checks for settings of the dense part where there is none."""
    settings = {
        "similarity": refinement.similarity == FEATURES,
        "diffeomorphic": refinement.diffeomorphic,
    }
    for name, is_set in settings.items():
        if is_set:
            raise InputError(
                about=name,
                expected="a deformable transform, whose dense part it is for",
                got=f"{getattr(refinement, name)} and transform={refinement.transform}",
                advice="leave one of the two out",
            )


def _check_levels(dense: tuple[Level, ...], affine: tuple[AffineLevel, ...]) -> None:
    for levels, kind in ((dense, Level), (affine, AffineLevel)):
        expected = f"a tuple of {kind.__name__}"
        check_type(levels, (tuple, list), about="levels", expected=expected)
        for level in levels:
            check_type(level, kind, about="levels", expected=expected)
    every: list[AffineLevel | Level] = [*dense, *affine]
    for level in every:
        if min(level.shrink, level.steps) < 1 or level.step_voxels <= 0:
            raise InputError(
                about="level of a refinement",
                expected="shrink and steps of at least 1, and step_voxels > 0",
                got=level,
            )
    for level in dense:
        if level.control_voxels < 1:
            raise InputError(
                about="level of a refinement",
                expected="control points at least 1 voxel apart",
                got=level,
            )


def _check_positive(name: str, value: float) -> None:
    check_type(value, (int, float), about=name, expected="a finite number > 0")
    if not 0 < value < math.inf:
        raise InputError(about=name, expected="a finite number > 0", got=value)
