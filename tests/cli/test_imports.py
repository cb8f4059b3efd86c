"""What a registration imports: nothing that is slow and that it does not use."""

import json

import pytest

from support.commands import write_pair
from support.processes import finish, start

COMMAND = """
import json, sys
from voltween.cli import main
main({words})
names = set(sys.modules)
print(json.dumps(sorted(names)))
"""
SLOW = {
    # PyTorch's compiler, which some of its functions import when they are called.
    *("torch._dynamo", "torch._inductor", "torch.fx.experimental.symbolic_shapes"),
    *("sympy", "torch.distributed.tensor", "torch.distributed.fsdp", "torch.onnx"),
    # Formats of files, pictures and scans that are seldom seen.
    *("scipy.io", "scipy.stats", "scipy.spatial", "scipy.sparse", "PIL.PdfImagePlugin"),
    *("matplotlib", "pandas", "pyvista", "rich.markdown"),
    # What cohorts, trainings and comparisons need.
    *("dask", "distributed", "lightning_fabric", "monai", "nilearn", "ants"),
    *("voltween.cohorts", "voltween.workers", "voltween.training"),
    *("voltween.evaluation", "voltween.batches.cohort"),
}


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory):
    """A folder with two scans, their labels and a model."""
    return write_pair(tmp_path_factory.mktemp("pair"))


def imported(folder, *options):
    """The names of all modules after a registration, with all of its files."""
    words = ["register", "fixed.nii.gz", "moving.nrrd", "--out", "result"]
    words = [str(folder / word) if "." in word else word for word in words]
    words[-1] = str(folder / "result")
    labels = [
        word
        for side in ("fixed", "moving")
        for word in (f"--{side}-labels", str(folder / f"{side}_labels.nii.gz"))
    ]
    code, output, errors = finish(
        start(code=COMMAND.format(words=[*words, *labels, *options]))
    )
    assert code == 0, errors
    return set(json.loads(output.splitlines()[-1]))


@pytest.mark.parametrize("refinement", ["none"])
def test_a_registration_imports_nothing_slow_that_it_does_not_use(folder, refinement):
    model = str(folder / "tiny.safetensors")
    names = imported(folder, "--model", model, "--refine", refinement)
    assert {"torch", "SimpleITK", "h5py", "jinja2"} <= names
    assert not SLOW & names
