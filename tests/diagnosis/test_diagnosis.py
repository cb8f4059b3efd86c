"""The self-test passes here, and finds a fault that is put in."""

import json
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from support.commands import run_here
from voltween.diagnosis import describe_machine, diagnose, self_test
from voltween.diagnosis.diagnosis import missing_packages
from voltween.diagnosis.self_test import CHECKS, run_check
from voltween.spatial import Affine

REQUIREMENTS = [
    "numpy>=1.26",
    'no-such-package>=1; extra == "figures"',
    "numpy>=1; extra == 'figures'",
    'numpy; python_version < "3.14" and extra == "train"',
    'mypy; extra == "dev"',
    'voltween[train]; extra == "demo"',
]


@pytest.mark.parametrize("name", CHECKS)
def test_the_parts_of_the_self_test_pass(name):
    check = run_check(name)
    assert check.has_passed, check.finding


def test_a_wrong_operation_is_found(monkeypatch):
    monkeypatch.setattr(self_test, "warp", lambda image, flow: image)
    assert not run_check("operations").has_passed


def test_a_wrong_registration_is_found(monkeypatch):
    fixed, moving, _ = self_test._phantoms()
    away = Affine(np.diag([1.2, 1, 1, 1]))
    monkeypatch.setattr(self_test, "_phantoms", lambda: (fixed, moving, away))
    check = run_check("registration")
    assert not check.has_passed
    assert "mean error" in check.finding


@pytest.mark.parametrize("kind", [RuntimeError, AttributeError, TypeError, MemoryError])
def test_an_error_is_a_check_that_has_not_passed(kind, monkeypatch):
    def fail(image, flow):
        raise kind("illegal instruction")

    monkeypatch.setattr(self_test, "warp", fail)
    check = run_check("operations")
    assert not check.has_passed
    assert check.finding == f"{kind.__name__}: illegal instruction"


@pytest.mark.parametrize("fault", [None, OSError])
def test_a_machine_that_does_not_tell_its_load_is_described(fault, quick, monkeypatch):
    if fault is None:  # as on Windows
        monkeypatch.delattr("os.getloadavg")
    else:
        monkeypatch.setattr("os.getloadavg", Mock(side_effect=fault))
    assert describe_machine().load is None
    assert not any("programs share" in line for line in diagnose().advice)


def test_a_cache_of_unknown_size_is_left_out(tmp_path, monkeypatch):
    """As on virtual machines with processors of ARM."""
    for number, files in enumerate(({"size": "48K"}, {})):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        for name, text in {"level": "1", "type": "Data", **files}.items():
            (folder / name).write_text(text)
    monkeypatch.setattr("voltween.diagnosis.machine._CACHES", tmp_path)
    assert describe_machine().caches == ("L1 48K",)


def test_the_phantoms_are_those_of_the_truth():
    """Intensities at corresponding positions are equal: moving(T(x)) = fixed(x)."""
    truth = self_test._pose()
    positions = np.random.default_rng(0).uniform(-40, 40, (50, 3))
    moved = self_test._intensity(
        truth.inverse().map_positions(truth.map_positions(positions))
    )
    assert np.allclose(moved, self_test._intensity(positions))


def test_extras_name_the_packages_that_they_lack():
    extras = missing_packages(REQUIREMENTS)
    assert extras == {"figures": ("no-such-package",), "train": ()}


@pytest.fixture(name="quick")
def quick_fixture(monkeypatch):
    """The self-test without its registration."""
    monkeypatch.delitem(CHECKS, "registration")
    monkeypatch.delitem(CHECKS, "models")


def test_the_doctor_ends_with_a_verdict(quick, capsys):
    assert run_here("doctor") == 0
    shown = capsys.readouterr().out
    assert "Verdict: this installation works." in shown
    for word in (torch.__version__, "instruction set", "threads", "GPU", "extras"):
        assert word in shown


def test_the_doctor_fails_with_the_test(quick, capsys, monkeypatch):
    monkeypatch.setattr(self_test, "warp", lambda image, flow: image)
    assert run_here("doctor", "--json") == 3
    shown = capsys.readouterr()
    result = json.loads(shown.out)["result"]
    assert result["works"] is False
    assert result["checks"][0]["name"] == "operations"
    assert "Verdict: this installation does not work." in shown.err


def test_few_threads_are_told(quick, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 0)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    assert any("OMP_NUM_THREADS" in line for line in diagnose().advice)
