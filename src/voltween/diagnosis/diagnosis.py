"""The findings of `voltween doctor`: versions, machine, extras, and the self-test."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires

import torch

from voltween.diagnosis.machine import Machine, describe_machine
from voltween.diagnosis.self_test import CHECKS, Check, run_check
from voltween.models import shipped_models, user_folder
from voltween.process import free_bytes, installed_version

_REQUIREMENT = re.compile(r"""^([\w.-]+).*extra == ['"]([\w-]+)['"]""")
_DEVELOPMENT = ("dev", "docs")
_GIGABYTE = 1e9
_LEAST_FREE = 2e9  # bytes that a registration on a usual grid needs


@dataclass(frozen=True)
class Diagnosis:
    """The facts of an installation, and whether it works."""

    machine: Machine
    versions: dict[str, str]
    """Versions of the packages that a result depends on."""
    free_bytes: int | None
    """Memory that is free now; None where it cannot be asked."""
    gpu: str | None
    """The name of the GPU that PyTorch can use; None if there is none."""
    extras: dict[str, tuple[str, ...]]
    """The packages that each extra lacks; none if it is installed."""
    models: tuple[str, ...]
    """The shipped models."""
    own_models: str
    """The folder of the user's own models."""
    checks: tuple[Check, ...]
    """The parts of the self-test."""

    @property
    def advice(self) -> list[str]:
        """Faults of the installation, each with what to do."""
        lines = []
        if self.free_bytes is not None and self.free_bytes < _LEAST_FREE:
            free = self.free_bytes / _GIGABYTE
            lines.append(f"only {free:.1f} GB of memory are free: close other programs")
        if self.machine.threads < self.machine.cores:
            used, cores = self.machine.threads, self.machine.cores
            lines.append(
                f"PyTorch uses {used} of {cores} cores: set OMP_NUM_THREADS={cores} "
                "to use all"
            )
        if self.machine.load is not None and self.machine.load > self.machine.cores:
            lines.append(
                f"{self.machine.load:.0f} programs share {self.machine.cores} cores: "
                "times will be longer"
            )
        return lines

    @property
    def works(self) -> bool:
        """Whether every part of the self-test has passed."""
        return all(check.has_passed for check in self.checks)


def diagnose(on_check: Callable[[str], object] = lambda name: None) -> Diagnosis:
    """Describes the installation and runs the self-test, which takes some seconds.

    Args:
        on_check: Called with the name of each part of the self-test before it runs.
    """
    checks = []
    for name in CHECKS:
        on_check(name)
        checks.append(run_check(name))
    names = ("voltween", "torch", "SimpleITK", "numpy", "scipy", "h5py", "nibabel")
    return Diagnosis(
        machine=describe_machine(),
        versions={name: installed_version(name) or "not installed" for name in names},
        free_bytes=free_bytes(),
        gpu=_gpu(),
        extras=_extras(),
        models=tuple(name for name, _ in shipped_models()),
        own_models=str(user_folder()),
        checks=tuple(checks),
    )


def _gpu() -> str | None:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _extras() -> dict[str, tuple[str, ...]]:
    """The packages that each extra lacks; empty if voltween was not installed."""
    try:
        return missing_packages(requires("voltween") or ())
    except PackageNotFoundError:
        return {}


def missing_packages(requirements: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The packages of each extra that are not installed, from lines of requirements."""
    extras: dict[str, list[str]] = {}
    for line in requirements:
        match = _REQUIREMENT.match(line)
        if match and match[2] not in _DEVELOPMENT and match[1] != "voltween":
            missing = extras.setdefault(match[2], [])
            if installed_version(match[1]) is None:
                missing.append(match[1])
    return {name: tuple(missing) for name, missing in sorted(extras.items())}
