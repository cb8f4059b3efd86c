"""Candidates by a network: the pattern of its upsampling is removed from its flows."""

import pytest
import torch

from support.textured import head
from voltween.models import load_model
from voltween.networks import has_pattern
from voltween.ops import FlowParts
from voltween.registration import candidates
from voltween.registration.candidates import Candidate, by_network, run_network
from voltween.registration.judge import Judge
from voltween.registration.pair_view import PairView, SideView


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
