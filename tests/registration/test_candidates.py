"""Candidates by a network: their flows, and the affine answers found from them."""

from dataclasses import replace

import pytest
import torch

from support.textured import head
from voltween.models import load_model
from voltween.networks import has_pattern
from voltween.ops import FlowParts
from voltween.refinement import AffineLevel, Refinement, Watch
from voltween.registration import Guidance, candidates
from voltween.registration.candidates import (
    Candidate,
    Optimization,
    by_network,
    run_network,
)
from voltween.registration.judge import Judge
from voltween.registration.pair_view import PairView, SideView

SHORT = (AffineLevel(2, 3, 0.1),)


@pytest.fixture(scope="module", name="start")
def start_fixture():
    scan, rule = head(), load_model("brain").preprocessing
    sides = [SideView.of(scan, rule, torch.device("cpu")) for _ in range(2)]
    return Candidate(Judge.of(scan, scan), PairView(*sides), {})


def test_the_brain_model_leaves_a_pattern_and_its_candidate_has_none(start):
    model = load_model("brain")
    *_, raw = run_network(model, *start.view.images()).values()
    assert has_pattern(raw.dense_flow)
    flow = by_network(model, start).last[0].dense_flow
    assert not has_pattern(flow)
    change = (flow - raw.dense_flow).abs()
    assert 0 < change.max() < 0.5 * raw.dense_flow.abs().max()


def test_a_flow_that_a_velocity_made_is_left_alone(start, monkeypatch):
    wave = torch.cos(torch.pi * torch.arange(64.0))
    flow = sum(wave.view(shape) for shape in ((64, 1, 1), (1, 64, 1), (1, 1, 64)))
    flow = flow.expand(1, 3, 64, 64, 64)
    parts = FlowParts.dense(flow)._replace(velocity=flow)
    monkeypatch.setattr(candidates, "run_network", lambda *_: {"dense 1": parts})
    kept = by_network(load_model("brain"), start).last[0]
    assert kept.dense_flow is flow


def test_a_rigid_answer_has_nothing_of_the_flow_of_a_network(start):
    bent = FlowParts.dense(torch.rand(1, 3, *start.view.fixed.image.shape[2:]))
    stages = {"affine": (bent, start.view.grids), "dense 1": (bent, start.view.grids)}
    answer = replace(start, stages=stages, is_by_network=True)
    settings = Refinement((), affine_levels=SHORT, transform="rigid")
    parts = Optimization(settings, Guidance(), Watch()).affine(answer).last[0]
    assert not parts.dense_flow.any()
    turn = torch.eye(3).double() + parts.matrix[0].double()  # on cubic voxels
    assert torch.allclose(turn @ turn.T, torch.eye(3).double(), atol=1e-5)
