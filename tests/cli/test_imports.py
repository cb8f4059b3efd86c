"""Imports of a registration: nothing that is slow and that it does not use."""

import json

import pytest

from support.commands import write_pair
from support.processes import finish, start

COMMAND = """
import json, sys
from voltween.cli import main
sys.argv[1:] = {words}
main()  # as a process of its own
names = set(sys.modules)
print(json.dumps(sorted(names)))
"""
SLOW = {
    # PyTorch's compiler, which some of its functions import when they are called.
    *("torch._dynamo", "torch._inductor", "torch.fx.experimental.symbolic_shapes"),
    *("sympy", "torch.distributed.tensor", "torch.distributed.fsdp", "torch.onnx"),
    # Formats of files, pictures and scans that are seldom seen.
    *("scipy.io", "scipy.stats", "scipy.spatial", "scipy.sparse"),
    *("PIL.PdfImagePlugin", "PIL.WebPImagePlugin"),
    # What finds foregrounds, padding and models has kernels of its own.
    *("scipy.ndimage", "scipy.linalg", "scipy.special", "numpy.f2py"),
    *("matplotlib", "pandas", "pyvista", "rich.markdown"),
    # What reads DICOM, which nibabel imports too, and what pydicom downloads with.
    *("pydicom", "highdicom", "requests", "urllib3"),
    # Notebooks, and indexes of many pairs.
    *("IPython", "PIL.ImageShow", "statistics"),
    # What cohorts, trainings and comparisons need.
    *("dask", "distributed", "lightning_fabric", "monai", "nilearn", "ants"),
    *("voltween.cohorts", "voltween.workers", "voltween.training"),
    *("voltween.evaluation", "voltween.batches.cohort"),
    # Modules behind lazy faces.
    *("voltween.io.dicom_slices", "voltween.io.conversion", "voltween.io.surfaces"),
    *("voltween.reports.index", "voltween.figures.rendering", "voltween.models.rcn"),
}


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory):
    """A folder with two scans, their labels and a model."""
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.mark.parametrize(
    ("moving", "refine"), [("fixed.nii.gz", "none"), ("moving.nrrd", "fast")]
)
def test_a_registration_imports_nothing_slow_that_it_does_not_use(
    folder, moving, refine
):
    """With all files that there can be; a scan to itself, and to another."""
    fixed, labels = str(folder / "fixed.nii.gz"), str(folder / "fixed_labels.nii.gz")
    moving_labels = labels if refine == "none" else str(folder / "moving_labels.nii.gz")
    words = ["register", fixed, str(folder / moving), "--out", str(folder / refine)]
    words += ["--fixed-labels", labels, "--moving-labels", moving_labels]
    words += ["--model", str(folder / "tiny.safetensors"), "--refine", refine]
    code, output, errors = finish(start(code=COMMAND.format(words=words)))
    assert code == 0, errors
    names = set(json.loads(output.splitlines()[-1]))
    assert {"torch", "SimpleITK", "h5py", "jinja2"} <= names
    slow = SLOW & names
    if "inverse" in errors:  # the place of a bad inverse is found by SciPy
        slow = {name for name in slow if not name.startswith(("scipy.", "numpy."))}
    assert not sorted(slow)


def test_a_registration_without_a_report_imports_no_templates(folder):
    scans = [str(folder / name) for name in ("fixed.nii.gz", "moving.nrrd")]
    words = ["register", *scans, "--out", str(folder / "moved"), "--outputs", "moved"]
    words += ["--model", str(folder / "tiny.safetensors"), "--refine", "none"]
    code, output, errors = finish(start(code=COMMAND.format(words=words)))
    assert code == 0, errors
    names = set(json.loads(output.splitlines()[-1]))
    assert not sorted({*SLOW, "jinja2", "markupsafe"} & names)
