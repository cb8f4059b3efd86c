"""The transform of one pair, sought by gradient descent from a network's or from none.

First the affine part, then a change of the dense part: an update of the flow (or of the
velocity it is the exponential of) that makes the images more alike, is smooth itself
and lets nothing fold. From coarse to fine in two ways: images on wider voxels, and
control points further apart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.descent import Descent, Losses, Step, Watch
from voltween.evidence import Evidence
from voltween.jacobian import jacobian_determinant
from voltween.losses import (
    determinant_loss,
    orthogonality_loss,
    total_variation_loss,
)
from voltween.matching import Matching
from voltween.parts import Parts
from voltween.refinement import AffineLevel, Level, Refinement
from voltween.similarities import Similarity, measure_named
from voltween.velocity import exponential, logarithm
from voltween.warp import compose_affine, warp

_SMALLEST_DETERMINANT = 0.2  # what is compressed further is pushed back
_RIGIDITY = 0.1  # weight of both terms on the affine matrix, as in Table I
_AFFINE_SCALE = 10.0
_TRIAL_STEPS = 12  # after which most of the starts are given up
_KEPT_STARTS = 3
_SHIFT = 0.15  # of the starts, as a share of the grid's sides
_TURN = 0.35  # in radians


@dataclass(frozen=True, eq=False)
class PairSearch:
    """A pair, how its transform is sought, and who watches."""

    evidence: Evidence
    refinement: Refinement
    watch: Watch

    def run(self, start: Parts | None) -> Parts:
        """The best transform from that of a network, or from none.

        It has to be on the images' grid, with sides that are multiples of the
        refinement's widest voxels. The same pair gives the same transform, unless
        time ran out.
        """
        return self.dense(self.affine(start))

    def affine(self, start: Parts | None) -> Parts:
        """The transform with its affine part sought anew; its dense part stays.

        Without a start several shifts and turns are tried on the widest voxels, and
        the best goes on.
        """
        parts = start or Parts.at_rest(self.evidence.moving)
        for number, level in enumerate(self.refinement.affine_levels, 1):
            search = _AffineSearch(self, parts, level)
            is_open = start is None and number == 1
            matrix, translation = search.run(number, is_open=is_open)
            parts = parts._replace(matrix=matrix, translation=translation)
        return parts

    def dense(self, parts: Parts) -> Parts:
        """The transform with its dense part sought; its affine part stays."""
        is_velocity = self.refinement.diffeomorphic
        field = logarithm(parts.dense_flow) if is_velocity else parts.dense_flow
        for number, level in enumerate(self.refinement.levels, 1):
            field = field + _DenseSearch(self, parts, field, level).run(number)
        if is_velocity:
            return parts._replace(dense_flow=exponential(field), velocity=field)
        return parts._replace(dense_flow=field)

    def matching(self, evidence: Evidence, similarity: Similarity) -> Matching:
        """What tells how far the evidence differs."""
        measure = measure_named(similarity, window_voxels=self.refinement.window_voxels)
        channels = evidence.fixed.shape[1]
        given = self.refinement.channel_weights[:channels]
        return Matching(evidence, measure, (*given, *[1.0] * (channels - len(given))))


class _AffineSearch:
    """One level: numbers are displacements in voxels, of the border and of the middle.

    Twelve a start: how far the middles of the grid's three faces move, then how far its
    middle does.
    """

    def __init__(self, whole: PairSearch, parts: Parts, level: AffineLevel) -> None:
        self._whole, self._level = whole, level
        evidence = whole.evidence.shrunk(level.shrink)
        self._matching = whole.matching(evidence, _affine_similarity(whole.refinement))
        self._half = evidence.fixed.new_tensor(list(evidence.shape)) / 2
        self._dense_flow = _averaged(parts.dense_flow, level.shrink)
        border = parts.matrix[0] * self._half
        middle = parts.translation[0] / level.shrink
        self._start = torch.cat([border.flatten(), middle])

    def run(self, number: int, *, is_open: bool) -> tuple[Tensor, Tensor]:
        """Matrix and translation, in voxels of the whole grid."""
        numbers = self._start[None]
        if is_open:
            many = self._descended(numbers + self._offsets(), number, _TRIAL_STEPS)
            numbers = many[self._ranking(many)[:_KEPT_STARTS]]
        numbers = self._descended(numbers, number, self._level.steps)
        matrix, translation = self._parts(numbers[self._ranking(numbers)[:1]])
        return matrix, translation * self._level.shrink

    def _descended(
        self, starts: Float[Tensor, "n 12"], number: int, steps: int
    ) -> Float[Tensor, "n 12"]:
        numbers = starts.clone().requires_grad_()
        whole = self._whole
        Descent(
            steps,
            self._level.step_voxels,
            gradient_scale=_AFFINE_SCALE * len(numbers),
            tolerance=whole.refinement.tolerance,
        ).run(
            numbers,
            lambda step: self._losses(numbers),
            on_step=_reporter(whole, "affine", number, self._level),
            watch=whole.watch,
        )
        return numbers.detach()

    def _ranking(self, numbers: Float[Tensor, "n 12"]) -> list[int]:
        """The rows from the best to the worst."""
        with torch.no_grad():
            totals = [self._losses(one[None]).total.item() for one in numbers]
        return sorted(range(len(totals)), key=totals.__getitem__)

    def _losses(self, numbers: Float[Tensor, "n 12"]) -> Losses:
        matrix, translation = self._parts(numbers)
        inner = self._dense_flow.expand(len(numbers), -1, -1, -1, -1)
        flow = compose_affine(matrix, translation, inner)
        similarity = self._matching.similarity_loss(flow)
        rigidity = orthogonality_loss(matrix) + determinant_loss(matrix)
        landmarks = self._matching.landmark_loss(flow)
        weight = self._whole.refinement.landmarks
        total = similarity + _RIGIDITY * rigidity + weight * landmarks
        return Losses(total, similarity)

    def _parts(self, numbers: Float[Tensor, "n 12"]) -> tuple[Tensor, Tensor]:
        return numbers[:, :9].reshape(-1, 3, 3) / self._half, numbers[:, 9:]

    def _offsets(self) -> Float[Tensor, "13 12"]:
        """None, and both ways a shift along and a turn about every axis."""
        offsets = self._start.new_zeros(13, 12)
        for axis in range(3):
            one, other = (axis + 1) % 3, (axis + 2) % 3
            for row, sign in ((1 + 2 * axis, 1.0), (2 + 2 * axis, -1.0)):
                offsets[row, 9 + axis] = sign * _SHIFT * 2 * self._half[axis]
                offsets[row + 6, 3 * one + other] = -sign * _TURN * self._half[other]
                offsets[row + 6, 3 * other + one] = sign * _TURN * self._half[one]
        return offsets


class _DenseSearch:
    """One level: an update of the flow, or of the velocity, between control points."""

    def __init__(
        self, whole: PairSearch, parts: Parts, start: Tensor, level: Level
    ) -> None:
        self._whole, self._level, self._matrix = whole, level, parts.matrix
        self._evidence = whole.evidence.shrunk(level.shrink)
        self._start = _averaged(start, level.shrink)
        self._translation = parts.translation / level.shrink
        similarity = whole.refinement.similarity
        self._matching = whole.matching(self._evidence, similarity)
        self._backward = (
            whole.matching(self._swapped(), similarity)
            if whole.refinement.symmetric
            else None
        )

    def run(self, number: int) -> Float[Tensor, "1 3 i j k"]:
        """The update, in voxels of the whole grid."""
        whole, level = self._whole, self._level
        shape = [max(2, -(-n // level.control_voxels)) for n in self._evidence.shape]
        control = self._start.new_zeros(1, 3, *shape, requires_grad=True)
        Descent(
            level.steps,
            level.step_voxels,
            gradient_scale=float(control[0, 0].numel()),
            tolerance=whole.refinement.tolerance,
        ).run(
            control,
            lambda step: self._losses(_spread(control, self._evidence.shape), step),
            on_step=_reporter(whole, "dense", number, level),
            watch=whole.watch,
        )
        update = _spread(control.detach(), self._evidence.shape)
        return _widened(update, level.shrink)

    def _losses(self, update: Float[Tensor, "1 3 i j k"], step: int) -> Losses:
        refinement = self._whole.refinement
        field = self._start + update
        flow = exponential(field) if refinement.diffeomorphic else field
        total_flow = self._after_affine(flow)
        similarity = self._matching.similarity_loss(total_flow)
        if self._backward is not None:
            back = self._backward.similarity_loss(exponential(-field))
            similarity = (similarity + back) / 2
        lack = (_SMALLEST_DETERMINANT - jacobian_determinant(flow)).clamp_min(0)
        total = (
            similarity
            + refinement.update_variation * total_variation_loss(update)
            + refinement.folding * lack.mean()
            + refinement.overlap * self._matching.overlap_loss(total_flow, step)
            + refinement.landmarks * self._matching.landmark_loss(total_flow)
        )
        return Losses(total, similarity)

    def _after_affine(
        self, flow: Float[Tensor, "1 3 i j k"]
    ) -> Float[Tensor, "1 3 i j k"]:
        return compose_affine(self._matrix, self._translation, flow)

    def _swapped(self) -> Evidence:
        """The fixed image to be moved onto the moving one, that affinely moved."""
        pair = self._evidence
        flow = self._after_affine(torch.zeros_like(self._start))
        mask = None if pair.moving_mask is None else warp(pair.moving_mask, flow)
        return Evidence(warp(pair.moving, flow), pair.fixed, mask, pair.fixed_mask)


def _affine_similarity(refinement: Refinement) -> Similarity:
    """What is alike from afar: local contrast is of no use to scans that lie apart."""
    is_local = refinement.similarity in ("local correlation", "MIND-SSC")
    return "normalized mutual information" if is_local else refinement.similarity


def _reporter(
    whole: PairSearch, part: str, number: int, level: AffineLevel | Level
) -> Callable[[int, float], object]:
    refinement = whole.refinement
    levels = refinement.levels if part == "dense" else refinement.affine_levels
    return lambda step, loss: whole.watch.on_step(
        Step(part, number, len(levels), step, level.steps, loss)
    )


def _averaged(
    field: Float[Tensor, "1 3 i j k"], factor: int
) -> Float[Tensor, "1 3 i2 j2 k2"]:
    """The field on voxels that many times as wide, in these."""
    return field if factor == 1 else functional.avg_pool3d(field, factor) / factor


def _widened(
    field: Float[Tensor, "1 3 i j k"], factor: int
) -> Float[Tensor, "1 3 i2 j2 k2"]:
    """Back on voxels that many times as narrow, in these."""
    if factor == 1:
        return field
    return factor * functional.interpolate(
        field, scale_factor=factor, mode="trilinear", align_corners=False
    )


def _spread(
    control: Float[Tensor, "1 3 _ _ _"], shape: torch.Size
) -> Float[Tensor, "1 3 i j k"]:
    """The update of every voxel from that of the control points."""
    if control.shape[2:] == shape:
        return control
    return functional.interpolate(
        control, size=shape, mode="trilinear", align_corners=True
    )
