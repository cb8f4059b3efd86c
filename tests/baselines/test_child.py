"""The child's calls of the tools, recorded by stand-ins of their packages."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock, call

import nibabel
import numpy as np
import pytest
import torch

from voltween.baselines import TOOLS, child

THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


@pytest.fixture(name="run")
def run_fixture(tmp_path, monkeypatch):
    """Runs the child on a tool's task with a stand-in package; returns what it used."""

    def run(tool, **package):
        for name, module in package.items():
            monkeypatch.setitem(sys.modules, name, module)
        (tmp_path / "task.json").write_text(json.dumps(tool.task()))
        monkeypatch.setattr(sys, "argv", ["child.py", str(tmp_path)])
        child._main()
        return json.loads((tmp_path / "used.json").read_text("utf-8"))

    return run


@pytest.mark.parametrize("name", ["ants", "ants-affine"])
def test_a_command_of_ants_gets_its_files_and_a_fixed_seed(name, run, tmp_path):
    ants = MagicMock()
    used = run(TOOLS[name], ants=ants)
    ants.config.set_ants_deterministic.assert_called_once_with(False, 1)
    (words, mask), _ = ants.registration.call_args
    assert mask is None
    command = TOOLS[name].task()["command"].format(folder=tmp_path)
    assert words == [*command.split(), "--random-seed", "1"]
    assert f"[{tmp_path}/fixed.nii,{tmp_path}/moving.nii,1]" in words
    assert set(used) == {
        *("loading_seconds", "seconds", "processor_seconds", "peak_bytes")
    }
    assert used["peak_bytes"] > 10e6


@pytest.mark.parametrize(
    ("name", "kind"), [("ants-syn", "SyN"), ("ants-syncc", "SyNCC")]
)
def test_a_kind_of_ants_is_run_with_its_defaults_and_a_fixed_seed(
    name, kind, run, tmp_path
):
    ants = MagicMock()
    ants.image_read.side_effect = ["fixed image", "moving image"]
    ants.registration.return_value = {"warpedmovout": "moved image"}
    run(TOOLS[name], ants=ants)
    ants.config.set_ants_deterministic.assert_called_once_with(False, 1)
    assert [c.args[0] for c in ants.image_read.call_args_list] == [
        str(tmp_path / "fixed.nii"),
        str(tmp_path / "moving.nii"),
    ]
    ants.registration.assert_called_once_with(
        "fixed image",
        "moving image",
        type_of_transform=kind,
        outprefix=f"{tmp_path}/",
    )
    ants.image_write.assert_called_once_with("moved image", str(tmp_path / "moved.nii"))


def test_elastix_gets_both_stages_with_a_fixed_seed(run, tmp_path):
    itk = MagicMock()
    parameters = itk.ParameterObject.New.return_value
    parameters.GetDefaultParameterMap.side_effect = lambda kind: {"kind": [kind]}
    itk.imread.side_effect = ["fixed image", "moving image"]
    result = SimpleNamespace()
    itk.elastix_registration_method.return_value = ("moved image", result)
    itk.transformix_deformation_field.return_value = "field"
    run(TOOLS["elastix"], itk=itk)
    affine, splines = (c.args[0] for c in parameters.AddParameterMap.call_args_list)
    linear = {
        "ResampleInterpolator": ["FinalLinearInterpolator"],
        "RandomSeed": ["1"],
    }
    automatic = {"AutomaticTransformInitialization": ["true"]}
    assert affine == {"kind": ["affine"], **linear, **automatic}
    assert splines == {
        "kind": ["bspline"],
        **linear,
        "MaximumNumberOfIterations": ["1000"],
    }
    itk.elastix_registration_method.assert_called_once_with(
        "fixed image",
        "moving image",
        parameter_object=parameters,
        log_to_console=False,
    )
    itk.transformix_deformation_field.assert_called_once_with("moving image", result)
    assert itk.imwrite.call_args_list == [
        call("moved image", str(tmp_path / "moved.mha")),
        call("field", str(tmp_path / "field.mha")),
    ]


@pytest.mark.parametrize("threads", ["3", None])
def test_greedy_aligns_deforms_and_moves_with_a_fixed_seed(threads, run, monkeypatch):
    monkeypatch.delenv(THREADS, raising=False)
    if threads:
        monkeypatch.setenv(THREADS, threads)
    package = MagicMock()
    run(TOOLS["greedy"], picsl_greedy=package)
    execute = package.Greedy3D.return_value.execute
    commands = [c.args[0].split() for c in execute.call_args_list]
    general = ["-d", "3", "-seed", "1", "-V", "0"]
    general += ["-threads", "3"] if threads else []
    assert all(words[: len(general)] == general for words in commands)
    affine, deformable, moved = (words[len(general) :] for words in commands)
    pair = ["-i", "fixed.nii", "moving.nii", "-m", "NCC", "2x2x2", "-n", "100x50x10"]
    assert affine == [
        *["-a", "-dof", "12", "-ia-image-centers"],
        *pair,
        *["-o", "affine.mat"],
    ]
    assert deformable == [
        *["-s", "1.732vox", "0.7071vox"],
        *pair,
        *["-it", "affine.mat", "-wp", "0", "-o", "warp.nii.gz"],
    ]
    reslicing = "-rf fixed.nii -rm moving.nii moved.nii -r warp.nii.gz affine.mat"
    assert moved == reslicing.split()


def test_convexadam_gets_arrays_on_the_processor_and_its_threads(
    run, tmp_path, monkeypatch
):
    monkeypatch.setenv(THREADS, "1")
    monkeypatch.setattr(torch, "set_num_threads", threads := MagicMock())
    images = np.random.default_rng(0).random((2, 4, 5, 6), np.float32)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    for name, image in zip(("fixed", "moving"), images, strict=True):
        nibabel.save(nibabel.Nifti1Image(image, affine), tmp_path / f"{name}.nii")
    displacements = np.random.default_rng(1).random((4, 5, 6, 3))
    register, apply = MagicMock(), MagicMock()
    register.convex_adam_pt.return_value = displacements
    apply.apply_convex.return_value = 2 * images[1]
    modules = {
        "convexAdam": MagicMock(),
        "convexAdam.convex_adam_MIND": register,
        "convexAdam.apply_convex": apply,
    }
    run(TOOLS["convexadam"], **modules)
    (call_of_tool,) = register.convex_adam_pt.call_args_list
    np.testing.assert_array_equal(call_of_tool.args, images)
    # All other settings are the package's defaults.
    cpu = torch.device("cpu")
    assert call_of_tool.kwargs == {"dtype": torch.float32, "device": cpu}
    threads.assert_called_once_with(1)
    flow = np.load(tmp_path / "flow.npy")
    np.testing.assert_array_equal(flow, np.moveaxis(displacements, -1, 0))
    moved = nibabel.load(tmp_path / "moved.nii")
    np.testing.assert_allclose(moved.get_fdata(), 2 * images[1])
    np.testing.assert_array_equal(moved.affine, affine)


def test_the_peak_memory_is_that_of_the_tool_alone(tmp_path):
    (tmp_path / "picsl_greedy.py").write_text("Greedy3D = object")
    (tmp_path / "task.json").write_text('{"tool": "greedy", "commands": []}')
    calling_process_holds = np.ones(300_000_000, np.uint8)
    subprocess.run(
        [sys.executable, "-P", child.__file__, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=True,
    )
    used = json.loads((tmp_path / "used.json").read_text("utf-8"))
    assert 5e6 < used["peak_bytes"] < 100e6 < calling_process_holds.nbytes
