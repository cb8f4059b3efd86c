"""The descent: PyTorch's Adam without the import of its compiler, and its end."""

import subprocess
import sys

import torch

from voltween.refinement.descent import (
    Descent,
    Evaluation,
    Losses,
    Watch,
    differentiate,
)


def bowl(parameters):
    """A function whose smallest value is far from where it starts."""
    target = torch.arange(12, dtype=parameters.dtype).view(3, 4)
    value = (parameters - target).square().mean()
    return differentiate(Losses(value, value), parameters, 2.0)


def descend(steps, tolerance=-1.0):
    parameters = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    steps_taken = []
    Descent(steps, 0.5, tolerance).run(
        parameters,
        lambda step: bowl(parameters),
        on_step=lambda step, loss: steps_taken.append((step, loss)),
        watch=Watch(),
    )
    return parameters.detach(), steps_taken


def test_the_steps_are_those_of_pytorch():
    expected = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([expected], lr=0.5, eps=0.03)
    for _ in range(20):
        expected.grad = bowl(expected).gradient
        optimizer.step()
    torch.testing.assert_close(descend(20)[0], expected.detach())


def test_the_gradient_is_that_of_the_scaled_loss():
    parameters = torch.ones(3, 4, dtype=torch.float64, requires_grad=True)
    evaluation = bowl(parameters)
    assert isinstance(evaluation, Evaluation)
    expected = 2 * 2 * (1 - torch.arange(12, dtype=torch.float64).view(3, 4)) / 12
    torch.testing.assert_close(evaluation.gradient, expected)


def test_it_ends_where_the_loss_hardly_falls():
    _, steps = descend(400, tolerance=1e-4)
    assert 16 < len(steps) < 400
    assert [number for number, _ in steps] == [*range(1, len(steps) + 1)]


def test_a_descent_does_not_import_the_compiler_of_pytorch():
    code = """
import sys, torch
from voltween.refinement.descent import Descent, Losses, Watch, differentiate
parameters = torch.ones(3, requires_grad=True)
def evaluate(step):
    value = parameters.square().sum()
    return differentiate(Losses(value, value), parameters, 1.0)
Descent(2, 0.1, 0.0).run(parameters, evaluate, on_step=print, watch=Watch())
assert parameters.max() < 1
sys.exit("torch._dynamo" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
