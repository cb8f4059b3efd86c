"""Devices and processes, as Lightning Fabric starts them."""

import os

import pytest
import torch

from support.packages import hide_packages
from voltween.errors import InputError, MissingPackageError
from voltween.training import Hardware


def test_single_precision_on_one_processor_by_default():
    fabric = Hardware("cpu").fabric("fp32")
    assert (fabric.world_size, fabric.device.type) == (1, "cpu")


def test_slurm_on_the_machine_causes_no_warning(tmp_path, monkeypatch):
    """Warnings are errors in tests; Lightning gives advice where it finds srun."""
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert Hardware("cpu").fabric("fp32").world_size == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_missing_is_named():
    with pytest.raises(InputError, match="training: expected 1 of the kind 'cuda'"):
        Hardware("cuda").fabric("fp32")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_leaves_inputs_as_they_are(precision):
    fabric = Hardware("cpu").fabric(precision)
    types = []

    class Network(torch.nn.Linear):
        def forward(self, x):
            result = super().forward(x)
            types.extend([x.dtype, result.dtype])
            return result

    module = fabric.setup(Network(3, 3))
    assert module(torch.rand(2, 3)).dtype == torch.float32
    half = torch.bfloat16 if precision == "bf16" else torch.float16
    assert types == [torch.float32, half]


def test_without_lightning_the_extra_is_named(monkeypatch):
    hide_packages(monkeypatch, "lightning-fabric")
    with pytest.raises(MissingPackageError, match=r"pip install 'voltween\[train\]'"):
        Hardware("cpu").fabric("fp32")
