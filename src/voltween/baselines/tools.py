"""Runs a tool on files in a separate process, and checks its transform."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voltween import io
from voltween.baselines.transform_check import check_transform
from voltween.errors import InputError
from voltween.files import naming
from voltween.process import Used, require
from voltween.spatial import Image, Transform

_CHILD = Path(__file__).with_name("child.py")
_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


@dataclass(frozen=True, eq=False)
class Tool:
    """Another registration program: its task, and the reader of its output."""

    name: str
    package: str
    """The Python package that contains it."""
    task: Callable[[], Mapping[str, Any]]
    """Returns the content of task.json for `child.py`."""
    read: Callable[[Path], Transform]
    """Reads the transform, fixed to moving world mm, from the tool's folder."""
    moved: str
    """File name of the tool's moved image."""

    def __call__(self, fixed: Image, moving: Image) -> Transform:
        """Registers the scans; returns the transform, fixed to moving world mm.

        Raises:
            MissingPackageError: If the package is missing.
            InputError: If the tool fails, or its moved image differs from ours.
        """
        return self.run(fixed, moving)[0]

    def run(
        self, fixed: Image, moving: Image, *, threads: int | None = None
    ) -> tuple[Transform, Used]:
        """Registers the scans; returns the transform and the resources of the tool.

        Without `threads`, ITK uses ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS of the
        environment, or one thread per processor.

        Raises:
            MissingPackageError: If the package is missing.
            InputError: If the tool fails, or its moved image differs from ours.
        """
        self.check_installed()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            io.write(fixed, folder / "fixed.nii")
            io.write(moving, folder / "moving.nii")
            used = self._run_child(folder, threads)
            tool_moved = io.read(folder / self.moved)
            transform = self.read(folder)
        with naming(self.name):
            check_transform(transform, fixed, moving, tool_moved=tool_moved)
        return transform, used

    def check_installed(self) -> None:
        """Checks that the tool's package is installed.

        Raises:
            MissingPackageError: If it is missing; the advice names what to install.
        """
        require(self.package, extra="baselines", purpose=self.name)

    def _run_child(self, folder: Path, threads: int | None) -> Used:
        (folder / "task.json").write_text(json.dumps(self.task()))
        environment = {} if threads is None else {_THREADS: str(threads)}
        # -P: the script's folder has modules with the names of the tools.
        child = subprocess.run(
            [sys.executable, "-P", str(_CHILD), str(folder)],
            cwd=folder,  # elastix leaves extra files in its working folder
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | environment,
            check=False,
        )
        if child.returncode != 0:
            raise InputError(
                about=self.name,
                expected="images that it can register",
                got=f"a failure ({_reason(child)})",
                advice="leave these images out",
            )
        return Used(**json.loads((folder / "used.json").read_text()))


def _reason(child: subprocess.CompletedProcess[str]) -> str:
    """The last line of the tool's error output, or its exit code or signal."""
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    if child.returncode < 0:
        return f"it crashed, signal {-child.returncode}"
    return lines[-1] if lines else f"it ended with code {child.returncode}"
