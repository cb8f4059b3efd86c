"""Candidate answers for a pair: what came in, and what a network or a search finds.

Each is on a view of the pair: the view's grids say where a flow at rest maps the fixed
scan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from voltween.models import Model
from voltween.networks import remove_pattern
from voltween.ops import FlowParts
from voltween.refinement import (
    PairTensors,
    Problem,
    Refinement,
    Watch,
    find_affine_part,
    find_dense_part,
)
from voltween.registration.canonical import Grids, regrid, world_transforms
from voltween.registration.flows import flow_of_parts
from voltween.registration.guidance import Guidance
from voltween.registration.judge import Agreement, Judge
from voltween.registration.pair_view import PairView
from voltween.registration.result import AFFINE, REFINED, TweeningStage


@dataclass(frozen=True, eq=False)
class Candidate:
    """A possible answer: its stages, and how well the scans agree under the last."""

    judge: Judge
    view: PairView
    stages: Mapping[str, tuple[FlowParts, Grids]]
    """The transform after each stage, with the grids on which it is."""
    is_rough: bool = True
    """Whether the affine part was neither found by a network nor optimized."""
    is_by_network: bool = False
    """Whether a network found it."""

    @property
    def last(self) -> tuple[FlowParts, Grids]:
        """The transform after the last stage, and its grids."""
        return [*self.stages.values()][-1]

    @cached_property
    def world_stages(self) -> tuple[TweeningStage, ...]:
        """The stages as transforms from fixed to moving mm."""
        stages = self.stages.items()
        return tuple(TweeningStage(name, *world_transforms(*at)) for name, at in stages)

    @cached_property
    def agreement(self) -> Agreement:
        """Agreement of the scans under the transform."""
        return self.judge.flow_agreement(
            flow_of_parts(*self.last, onto=self.judge.grids)
        )

    @property
    def similarity(self) -> float:
        """The similarity by which candidates are compared."""
        return self.agreement.similarity


@dataclass(frozen=True, eq=False)
class Optimization:
    """The settings of a refinement, what guides it, and the watch over its steps."""

    refinement: Refinement
    guidance: Guidance
    watch: Watch

    def affine(self, candidate: Candidate, *, is_open: bool = False) -> Candidate:
        """The candidate with an optimized affine part, as a further stage.

        An open search tries several shifts and rotations of the start. Stages of a
        network are left out: they bend the scan, and no affine answer follows them.
        """
        plain = replace(candidate, view=candidate.view.with_features())
        problem, start, grids = self._problem(plain)
        parts = find_affine_part(problem, None if is_open else start)
        stages = {AFFINE: (parts, grids)}
        if not candidate.is_by_network:
            stages = {**candidate.stages, **stages}
        return replace(candidate, stages=stages, is_rough=False)

    def dense(self, candidate: Candidate) -> Candidate:
        """The candidate with an optimized dense part, as a further stage."""
        problem, start, grids = self._problem(candidate)
        refined = find_dense_part(problem, start)
        stages = {**candidate.stages, REFINED: (refined, grids)}
        return replace(candidate, stages=stages)

    def _problem(self, candidate: Candidate) -> tuple[Problem, FlowParts, Grids]:
        """The problem on the voxels of the refinement, with the candidate as start."""
        view = candidate.view.for_refinement(self.refinement)
        parts, grids = candidate.last
        if not grids.fixed.is_close(view.grids.fixed):
            parts = regrid(parts, grids, view.grids)
        tensors = self._tensors(view)
        return Problem(tensors, self.refinement, self.watch), parts, view.grids

    def _tensors(self, view: PairView) -> PairTensors:
        return view.tensors(self.guidance)


def at_rest(name: str, view: PairView, judge: Judge) -> Candidate:
    """The map of a view's fixed grid to its moving grid, as a candidate."""
    parts = FlowParts.at_rest(view.fixed.image)
    return Candidate(judge, view, {name: (parts, view.grids)})


def by_network(model: Model, start: Candidate) -> Candidate:
    """Runs a network on the view of a start that is at rest.

    The pattern that some networks leave in their flows is removed.
    """
    found = run_network(model, *start.view.images())
    stages = {n: (_without_pattern(p), start.view.grids) for n, p in found.items()}
    stages = {**start.stages, **stages}
    return replace(start, stages=stages, is_rough=False, is_by_network=True)


def run_network(model: Model, fixed: Tensor, moving: Tensor) -> dict[str, FlowParts]:
    """The network's transform after each stage, by the stages' names."""
    stages = model.registrar(fixed, moving).stages
    names = model.network.config.stage_names
    return {n: stage.parts.clone() for n, stage in zip(names, stages, strict=True)}


def _without_pattern(parts: FlowParts) -> FlowParts:
    """The parts without the pattern of the upsampling, unless a velocity made them."""
    if parts.velocity is not None:
        return parts
    return parts._replace(dense_flow=remove_pattern(parts.dense_flow))
