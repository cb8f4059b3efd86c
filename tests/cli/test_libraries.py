"""A library of PyTorch is loaded by a thread before PyTorch is imported."""

import sys

import pytest

from support.processes import finish, start

LOADING = """
import sys
from pathlib import Path
from threading import enumerate
from voltween.cli.libraries import load_ahead
load_ahead()
for thread in enumerate()[1:]:
    thread.join()
print("libtorch_cpu" in Path("/proc/self/maps").read_text(), "torch" in sys.modules)
import torch
print(torch.ones(2).sum().item())
"""
WITHOUT = """
import sys
from threading import enumerate
sys.path.insert(0, {folder!r})
from voltween.cli.libraries import load_ahead
load_ahead()
for thread in enumerate()[1:]:
    thread.join()
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc lists loaded libraries")
def test_libraries_are_loaded_ahead_of_pytorch():
    code, output, errors = finish(start(code=LOADING))
    assert (code, errors) == (0, "")
    loaded, worked = output.splitlines()
    assert loaded in ("True False", "False False")  # the latter: PyTorch has CUDA
    assert worked == "2.0"


def test_libraries_that_are_damaged_are_left_to_the_import(tmp_path):
    """The thread says nothing; `import torch` says what is wrong."""
    folder = tmp_path / "torch"
    (folder / "lib").mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name in ("libtorch_global_deps.so", "libtorch_cpu.so"):
        (folder / "lib" / name).write_bytes(b"no library")
    code = WITHOUT.format(folder=str(tmp_path))
    assert finish(start(code=code)) == (0, "done\n", "")


HEADERS = """
import sys
from voltween.cli.libraries import import_readers
{before}
import_readers()
import nibabel
print(nibabel.nifti1.have_dicom, "pydicom" in sys.modules, "scipy" in sys.modules)
import pydicom
print(pydicom.Dataset.__name__)
"""


def test_nibabel_is_imported_without_pydicom_which_works_afterwards():
    code, output, errors = finish(start(code=HEADERS.format(before="")))
    assert (code, errors) == (0, "")
    assert output.splitlines() == ["False False False", "Dataset"]


def test_a_process_that_has_pydicom_keeps_it():
    code, output, errors = finish(start(code=HEADERS.format(before="import pydicom")))
    assert (code, errors) == (0, "")
    assert output.splitlines() == ["True True False", "Dataset"]
