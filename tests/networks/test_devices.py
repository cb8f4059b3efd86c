"""Networks on every device and in every precision, against double on the CPU."""

import copy

import pytest
import torch

from support.devices import each_device
from voltween.networks import CascadeConfig, VolumeTweeningNetwork, optimize

SHAPE = (32, 16, 48)
HALF_VOXELS = {"fp32": 1e-3, "bf16": 0.3, "fp16": 0.05}
"""Errors of flows that reach some voxels."""


@pytest.fixture(scope="module", name="network")
def network_fixture():
    """A cascade of a random affine and two random dense subnetworks."""
    torch.manual_seed(0)
    result = VolumeTweeningNetwork(CascadeConfig("ADD", SHAPE, channels=4))
    with torch.no_grad():
        result.affine.head.weight.normal_(0, 0.2)
        for dense in result.dense:
            dense.flow.weight.normal_(0, 0.2)
    return result


@pytest.fixture(scope="module", name="images")
def images_fixture():
    return torch.rand(2, 2, 1, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", name="exact")
def exact_fixture(network, images):
    """The flow and the gradient of its mean square, in double precision."""
    return flow_and_gradient(copy.deepcopy(network).double(), images.double())


def flow_and_gradient(network, images):
    network.zero_grad()
    flow = network(*images).flow
    flow.square().mean().backward()
    gradient = network.dense[0].flow.weight.grad
    return flow.detach().double().cpu(), gradient.double().cpu()


@each_device
def test_flow_and_gradient_are_those_of_double_precision(
    device, network, images, exact
):
    found = flow_and_gradient(copy.deepcopy(network).to(device), images.to(device))
    assert exact[0].abs().max() > 0.3
    torch.testing.assert_close(found[0], exact[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(found[1], exact[1], atol=1e-4, rtol=1e-2)


@each_device
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_form_for_inference(precision, device, network, images, exact):
    fast = optimize(copy.deepcopy(network).to(device), precision)
    flow = fast(*images.to(device)).flow
    assert (flow.device.type, flow.dtype) == (device, torch.float32)
    error = (flow.double().cpu() - exact[0]).abs().max()
    assert error < HALF_VOXELS[precision]


@each_device
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_of_features(precision, device, network, images, exact):
    if (device, precision) == ("cpu", "fp16"):
        pytest.skip("no CPU trains in fp16")
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    with torch.autocast(device, dtype), torch.no_grad():
        flow = copy.deepcopy(network).to(device)(*images.to(device)).flow
    error = (flow.double().cpu() - exact[0]).abs().max()
    assert 0 < error < HALF_VOXELS[precision]
