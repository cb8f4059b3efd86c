"""The child's calls of ANTs and elastix, recorded by stand-ins of their packages."""

import json
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock, call

import pytest

from voltween.baselines import TOOLS, child


@pytest.fixture(name="run")
def run_fixture(tmp_path, monkeypatch):
    """Runs the child on a tool's task with a stand-in package; returns what it used."""

    def run(tool, **package):
        for name, module in package.items():
            monkeypatch.setitem(sys.modules, name, module)
        (tmp_path / "task.json").write_text(json.dumps(tool.task()))
        monkeypatch.setattr(sys, "argv", ["child.py", str(tmp_path)])
        child._main()
        return json.loads((tmp_path / "used.json").read_text())

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
