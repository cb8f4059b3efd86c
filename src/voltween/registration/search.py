"""The search for the answer among candidates: no harm, any pose.

What came in is a candidate like every other. The network's answer is taken unless a
simpler candidate, which cannot bend the scan to fit, agrees better. Where the best is
doubtful, all poses are searched. The rest of the search starts from the best candidate.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from voltween.errors import InputError, RejectionWarning
from voltween.models import Model
from voltween.refinement import (
    FAST_ALONE,
    FEATURES,
    AffineLevel,
    Refinement,
    Watch,
    from_scratch,
)
from voltween.registration.candidates import (
    Candidate,
    Optimization,
    at_rest,
    by_network,
)
from voltween.registration.guidance import Guidance
from voltween.registration.judge import Judge
from voltween.registration.pair_view import PairView
from voltween.registration.result import AFFINE
from voltween.registration.usual import Usual
from voltween.spatial import Affine, align_centers

HEADERS, CENTERS, POSE = "headers", "centers", "pose"
"""Names of the stages with which candidates without a network start."""

_IDENTICAL = 0.9999
"""Similarity above which nothing is left to improve."""
_ALIKE = 0.5
"""Similarity that scans have without bending only if they show one subject."""
_TRIED_POSES = 2
_LEAST_GAIN = 0.15
"""Share of the dissimilarity of alike scans that a bent transform has to remove."""
_IN_PLACE = 0.97
"""Similarity above which most of what differs is noise and interpolation."""
_LEAST_GAIN_IN_PLACE = 0.35
"""The share above that similarity: a flow that follows the blur removes a fifth."""


@dataclass(frozen=True, eq=False)
class Search:
    """A pair, the means to register it, and the judge of the answers."""

    view: PairView
    judge: Judge
    model: Model | None
    refinement: Refinement | None
    guidance: Guidance
    watch: Watch
    usual: Usual
    has_initial: bool = False
    """Whether the user said where the scans lie, so that no other place is tried."""

    def best(self) -> Candidate:
        """The candidate that agrees best, before the dense part is optimized."""
        arrived = max(self._arrived(), key=_similarity)
        if arrived.similarity > _IDENTICAL:
            return arrived
        candidates = [arrived, self._found()]
        if arrived.similarity > _ALIKE:
            candidates += _attempt(lambda: self._polish.affine(arrived))
        best = max(candidates, key=_similarity)
        if best.similarity < self.usual.start and not self.has_initial:
            best = self._best_of_poses(best)
        if best.is_rough:
            tried = _attempt(lambda: self._rough.affine(best))
            best = max([best, *tried], key=_similarity)
        return best

    def _best_of_poses(self, best: Candidate) -> Candidate:
        """The best candidate from any pose, until a pose has one as good as usual."""
        starts = [(pose, self._start(POSE, pose)) for pose in self.judge.poses]
        starts.sort(key=lambda pair: pair[1].similarity, reverse=True)
        for pose, start in starts[:_TRIED_POSES]:
            best = max([best, start, *self._continued(pose, start)], key=_similarity)
            if best.similarity >= self.usual.start:
                break
        return best

    def refine(self, start: Candidate) -> Candidate:
        """The answer: the start as the refinement leaves it, if that is any better.

        Where a network's answer seems to be lost, what is found without it competes.
        """
        if self.refinement is None or start.similarity > _IDENTICAL:
            return start
        if self.refinement.transform != "deformable":
            return self._refine_unbent(start)
        answer = self._bend(start)
        is_lost = self.model is not None and start.similarity < self.usual.network.lost
        if is_lost and self.guidance.is_empty and not self.has_initial:
            answer = max([answer, self._bend(self._search())], key=_similarity)
        return answer

    def _bend(self, start: Candidate) -> Candidate:
        """The start with an optimized dense part, where that pays."""
        assert self.refinement is not None
        settings = self.refinement
        if not start.is_by_network:
            settings = from_scratch(settings)
        refined = Optimization(settings, self.guidance, self.watch).dense(start)
        by_features = settings.similarity == FEATURES
        if not self.guidance.is_empty or (by_features and not settings.image_weight):
            return refined  # the images are not all that counts
        gain = refined.similarity - start.similarity
        if gain > _least_gain(start.similarity):
            return refined
        if gain < 0 and settings.similarity != "local correlation":
            _tell_of_rejection(settings, start, refined)
        return start

    def _refine_unbent(self, start: Candidate) -> Candidate:
        """The best rigid, similarity or affine answer, whatever the start is."""
        found = self._rough.affine(start)
        return max([found, *self._arrived()], key=_similarity)

    @property
    def _polish(self) -> Optimization:
        """The optimization of affine parts that are nearly right."""
        settings = self._rough.refinement
        levels = (AffineLevel(2, 30, 0.3), AffineLevel(1, 25, 0.15))
        return replace(self._rough, refinement=replace(settings, affine_levels=levels))

    @property
    def _rough(self) -> Optimization:
        """The optimization of affine parts."""
        settings = from_scratch(self.refinement or FAST_ALONE)
        return Optimization(settings, self.guidance, self.watch)

    def _arrived(self) -> Iterator[Candidate]:
        """The pair as its headers (or the user) place it, and with aligned centers."""
        yield self._start(HEADERS, Affine.identity())
        if not self.has_initial:
            grids = self.view.fixed.scan.grid, self.view.moving.scan.grid
            yield self._start(CENTERS, align_centers(*grids))

    def _found(self) -> Candidate:
        """Runs the network, or an open search, on the pair as it came in."""
        if self.model is not None:
            return by_network(self.model, Candidate(self.judge, self.view, {}))
        return self._search()

    def _search(self) -> Candidate:
        """Searches for an affine transform of the pair as it came in."""
        own = at_rest(CENTERS, self.view, self.judge)
        found = self._rough.affine(own, is_open=not self.has_initial)
        return replace(found, stages={AFFINE: found.last})

    def _continued(self, pose: Affine, start: Candidate) -> list[Candidate]:
        """Continues from a pose, by the network or without it."""
        model = self.model
        if model is None:
            return _attempt(lambda: self._rough.affine(start))
        view = self.view.with_fixed_at(pose)
        return [
            *_attempt(lambda: by_network(model, start)),
            *_attempt(lambda: by_network(model, at_rest(POSE, view, self.judge))),
        ]

    def _start(self, name: str, transform: Affine) -> Candidate:
        return at_rest(name, self.view.with_moving_at(transform), self.judge)


def _attempt(find: Callable[[], Candidate]) -> list[Candidate]:
    """A candidate; none if the scans show nothing in the place where it is sought."""
    try:
        return [find()]
    except InputError:
        return []


def _tell_of_rejection(
    settings: Refinement, start: Candidate, refined: Candidate
) -> None:
    warnings.warn(
        f"the refinement by {settings.facts()['similarity']} is left out: by the local "
        f"correlation, the scans agree less after it ({refined.similarity:.2f}) than "
        f"before ({start.similarity:.2f}). If they are of one contrast, compare that",
        RejectionWarning,
        stacklevel=2,
    )


def _least_gain(similarity: float) -> float:
    """The least gain in similarity for which scans that agree so well are bent."""
    if similarity <= _ALIKE:
        return 0.0
    share = _LEAST_GAIN_IN_PLACE if similarity > _IN_PLACE else _LEAST_GAIN
    return share * (1 - similarity)


def _similarity(candidate: Candidate) -> float:
    return candidate.similarity
