"""How a tool is run: on files, in a process of its own, its answer checked."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from voltween import io
from voltween.baselines.checked import checked
from voltween.errors import InputError, MissingPackageError
from voltween.process import Used
from voltween.spatial import Image, Transform

_CHILD = Path(__file__).with_name("child.py")
_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


@dataclass(frozen=True, eq=False)
class Tool:
    """Another program that registers: what it is told, and how its answer is read."""

    name: str
    package: str
    """The Python package it comes in."""
    task: Callable[[], Mapping[str, Any]]
    """What `child.py` is told."""
    read: Callable[[Path], Transform]
    """Fixed to moving world mm, from the folder with its files."""
    moved: str
    """File name of its own moved image."""

    def __call__(self, fixed: Image, moving: Image) -> Transform:
        """Fixed to moving world mm, checked against the tool's own moved image.

        Raises:
            InputError: If the package is missing, the tool fails, or its moved image is
                not ours.
        """
        return self.run(fixed, moving)[0]

    def run(
        self, fixed: Image, moving: Image, *, threads: int | None = None
    ) -> tuple[Transform, Used]:
        """The transform, and what the tool took for it.

        ITK takes as many threads as there are processors, or as the environment says
        (ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS), if `threads` is not given.

        Raises:
            InputError: As when called.
        """
        self.check_installed()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            io.write(fixed, folder / "fixed.nii")
            io.write(moving, folder / "moving.nii")
            used = self._run_child(folder, threads)
            own = io.read(folder / self.moved)
            transform = checked(self.name, self.read(folder), fixed, moving, own)
        return transform, used

    def check_installed(self) -> None:
        """Say what to install.

        Raises:
            MissingPackageError: If the package is missing.
        """
        try:
            version(self.package)
        except PackageNotFoundError as error:
            raise MissingPackageError(
                f"{self.name} needs the package {self.package}, which is not "
                "installed: pip install voltween[baselines]"
            ) from error

    def _run_child(self, folder: Path, threads: int | None) -> Used:
        (folder / "task.json").write_text(json.dumps(self.task()))
        environment = {} if threads is None else {_THREADS: str(threads)}
        # -P: the child's own folder has modules named as the tools are.
        child = subprocess.run(
            [sys.executable, "-P", str(_CHILD), str(folder)],
            cwd=folder,  # where elastix leaves files that nobody asked for
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | environment,
            check=False,
        )
        if child.returncode != 0:
            raise InputError(
                f"{self.name} cannot register these images ({_reason(child)}): leave "
                "them out"
            )
        return Used(**json.loads((folder / "used.json").read_text()))


def _reason(child: subprocess.CompletedProcess[str]) -> str:
    """The last line a tool wrote, or how it ended."""
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    if child.returncode < 0:
        return f"it crashed, signal {-child.returncode}"
    return lines[-1] if lines else f"it ended with code {child.returncode}"
