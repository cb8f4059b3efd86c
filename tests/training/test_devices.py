"""Training on every device: its precisions, its first losses, and going on."""

import csv
from dataclasses import replace

import pytest
import torch

from support.devices import each_device
from support.training import CONFIG, LAST, KilledError, die_at, run, tensors_of

FEW = replace(CONFIG, steps=4, validate_every=2)


def losses_of(folder):
    """The loss terms of every step."""
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != "step"]
    return [float(row[name]) for row in rows for name in names]


@pytest.fixture(scope="module", name="expected")
def expected_fixture(manifest, tmp_path_factory):
    """The losses of a training on the CPU in single precision."""
    folder = tmp_path_factory.mktemp("runs") / "cpu"
    run(manifest, folder, FEW)
    return losses_of(folder)


@each_device
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_steps_have_the_losses_of_the_cpu(
    precision, device, manifest, expected, tmp_path
):
    if (device, precision) == ("cpu", "fp16"):
        pytest.skip("no CPU trains in fp16")
    run(manifest, tmp_path, replace(FEW, precision=precision), accelerator=device)
    found = losses_of(tmp_path)
    tolerance = 1e-3 if precision == "fp32" else 0.05
    assert found == pytest.approx(expected, rel=tolerance, abs=tolerance / 10)


@each_device
def test_a_killed_run_goes_on(device, manifest, tmp_path):
    with pytest.raises(KilledError):
        run(manifest, tmp_path / "killed", on_step=die_at(3), accelerator=device)
    for name in ("killed", "whole"):
        run(manifest, tmp_path / name, accelerator=device)
    killed, whole = (tensors_of(tmp_path / n / LAST) for n in ("killed", "whole"))
    assert killed.keys() == whole.keys()
    # A GPU adds in any order; Adam moves a weight by at most the rate per step.
    tolerance = 0.0 if device == "cpu" else 4 * CONFIG.learning_rate
    for name, tensor in whole.items():
        torch.testing.assert_close(killed[name], tensor, atol=tolerance, rtol=tolerance)
