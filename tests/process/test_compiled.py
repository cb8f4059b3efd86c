"""Compiled modules that are missing, turned off, or asked for in vain."""

import json
import os
import subprocess
import sys
import textwrap
import warnings

import pytest

from support.native import needs_native
from voltween.errors import InputError, SlowOperationsWarning
from voltween.process import compiled

PROGRAM = """
import json, sys, warnings

class WithoutNative:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("voltween.") and name.endswith("._native"):
            raise ImportError(f"no {name}")

sys.meta_path.insert(0, WithoutNative())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np, torch
    from voltween import ops
    from voltween.spatial import Affine, Grid, Image
    image = Image(np.arange(64.0).reshape(4, 4, 4), Grid((4, 4, 4), np.eye(4)))
    moved = Affine(np.eye(4) + np.eye(4, k=3)).resample(image, onto=image.grid)
    warped = ops.warp(torch.arange(8.0).view(1, 1, 2, 2, 2), torch.ones(1, 3, 2, 2, 2))
texts = [f"{one.category.__name__}: {one.message}" for one in caught]
print(json.dumps([texts, moved.data[0, 0].tolist(), warped.flatten().tolist(),
                  ops.instruction_set()]))
"""


def output_of(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_without_the_modules_stock_operations_work_after_one_warning():
    texts, moved, warped, name = output_of(PROGRAM, VOLTWEEN_INSTRUCTIONS="")
    assert len(texts) == 1
    assert texts[0].startswith("SlowOperationsWarning: no compiled operations")
    assert "install a C++20 compiler" in texts[0]
    assert moved == [16, 17, 18, 19]
    assert warped == [7] * 8
    assert name == "none"


def test_turned_off_by_hand_there_is_no_warning():
    texts, moved, _, name = output_of(PROGRAM, VOLTWEEN_INSTRUCTIONS="none")
    assert (texts, moved, name) == ([], [16, 17, 18, 19], "none")


@pytest.fixture
def no_module(monkeypatch):
    def fail(name):
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(compiled, "import_module", fail)
    monkeypatch.setattr(compiled, "_has_warned", False)


def test_two_missing_modules_give_one_warning(no_module, monkeypatch):
    monkeypatch.delenv(compiled.INSTRUCTIONS, raising=False)
    with pytest.warns(SlowOperationsWarning, match=r"\(libgomp.*\): registering"):
        assert compiled.load_compiled("one") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled.load_compiled("two") is None


def test_a_set_that_cannot_be_had_is_an_error(no_module, monkeypatch):
    monkeypatch.setenv(compiled.INSTRUCTIONS, "avx2")
    with pytest.raises(
        InputError, match=r"VOLTWEEN_INSTRUCTIONS: .*got avx2 \(libgomp"
    ):
        compiled.load_compiled("one")


@needs_native
def test_an_unknown_set_ends_a_command_with_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "voltween", "apply", "a.h5", "b.nii", "--out", "c.nii"],
        env=os.environ | {"VOLTWEEN_INSTRUCTIONS": "sse9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    text = " ".join(done.stderr.split())
    assert "VOLTWEEN_INSTRUCTIONS: expected none, or an instruction set" in text
    assert "got sse9 (VOLTWEEN_INSTRUCTIONS must be one of those this processor" in text
    assert "Traceback" not in text
