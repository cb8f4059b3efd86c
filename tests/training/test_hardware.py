import pytest
import torch

from voltween.errors import InputError
from voltween.training import Hardware


def test_single_precision_on_one_processor_by_default():
    fabric = Hardware("cpu").fabric("fp32")
    assert (fabric.world_size, fabric.device.type) == (1, "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_missing_is_named():
    with pytest.raises(InputError, match="kind 'cuda'"):
        Hardware("cuda").fabric("fp32")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_leaves_inputs_as_they_are(precision):
    fabric = Hardware("cpu").fabric(precision)
    seen = []

    class Network(torch.nn.Linear):
        def forward(self, x):
            result = super().forward(x)
            seen.extend([x.dtype, result.dtype])
            return result

    module = fabric.setup(Network(3, 3))
    assert module(torch.rand(2, 3)).dtype == torch.float32
    half = torch.bfloat16 if precision == "bf16" else torch.float16
    assert seen == [torch.float32, half]
