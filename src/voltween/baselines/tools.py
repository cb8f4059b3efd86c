"""Runs a tool on files in a separate process, and checks its transform."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voltween import io
from voltween.baselines.transform_check import check_transform
from voltween.errors import InputError
from voltween.process import Used, require
from voltween.spatial import Affine, Grid, Image, Transform
from voltween.storage import naming, workspace

_CHILD = Path(__file__).with_name("child.py")
_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
TIME_LIMIT_MINUTES = 120.0
"""Time limit of a tool for one pair, unless another one is given."""


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
    is_affine: bool = False
    """Whether its transforms may not bend; the verdict has other limits for those."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Settings other than the published ones, by name."""
    initial: Callable[[Grid, Grid], Affine] | None = None
    """Alignment of the fixed and the moving grid, fixed to moving world mm, of a tool
    that needs both scans on one grid; None for tools that align the scans themselves.
    The moving scan is resampled onto the fixed grid by it, before the time of the tool
    begins."""

    def __call__(self, fixed: Image, moving: Image) -> Transform:
        """Registers the scans; returns the transform, fixed to moving world mm.

        Raises:
            MissingPackageError: If the package is missing.
            InputError: If the tool fails or takes more than the default time limit, or
                its moved image differs from ours.
        """
        return self.run(fixed, moving)[0]

    def run(
        self,
        fixed: Image,
        moving: Image,
        *,
        threads: int | None = None,
        time_limit_minutes: float = TIME_LIMIT_MINUTES,
    ) -> tuple[Transform, Used]:
        """Registers the scans; returns the transform and the resources of the tool.

        Without `threads`, a tool uses ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS of the
        environment, or one thread per processor.

        Raises:
            MissingPackageError: If the package is missing.
            InputError: If the tool fails or takes more than the time limit, or its
                moved image differs from ours.
        """
        self.check_installed()
        if self.initial is None:
            return self._register(fixed, moving, threads, time_limit_minutes)
        initial = self.initial(fixed.grid, moving.grid)
        moving_on_fixed = initial.resample(moving, onto=fixed.grid)
        transform, used = self._register(
            fixed, moving_on_fixed, threads, time_limit_minutes
        )
        return initial @ transform, used

    def check_installed(self) -> None:
        """Checks that the tool's package is installed.

        Raises:
            MissingPackageError: If it is missing; the advice names what to install.
        """
        require(self.package, extra="baselines", purpose=self.name)

    def _register(
        self,
        fixed: Image,
        moving: Image,
        threads: int | None,
        time_limit_minutes: float,
    ) -> tuple[Transform, Used]:
        """Runs the tool on the scans, in a folder of its own, and checks its output."""
        with workspace() as folder:
            io.write(fixed, folder / "fixed.nii")
            io.write(moving, folder / "moving.nii")
            used = self._run_child(folder, threads, time_limit_minutes)
            tool_moved = io.read(folder / self.moved)
            transform = self.read(folder)
        with naming(self.name):
            check_transform(transform, fixed, moving, tool_moved=tool_moved)
        return transform, used

    def _run_child(
        self, folder: Path, threads: int | None, time_limit_minutes: float
    ) -> Used:
        (folder / "task.json").write_text(json.dumps(self.task()))
        environment = {} if threads is None else {_THREADS: str(threads)}
        try:
            child = _run_within(time_limit_minutes, folder, os.environ | environment)
        except subprocess.TimeoutExpired as error:
            raise InputError(
                about=self.name,
                expected=f"a registration within {time_limit_minutes:g} minutes",
                got="none, and it was stopped",
                advice="raise the limit (--time-limit-minutes), or leave these images "
                "out",
            ) from error
        if child.returncode != 0:
            raise InputError(
                about=self.name,
                expected="images that it can register",
                got=f"a failure ({_reason(child)})",
                advice="leave these images out",
            )
        return Used(**json.loads((folder / "used.json").read_text(encoding="utf-8")))


def _run_within(
    minutes: float, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs the child on a folder, and ends it with its own children after some minutes.

    Raises:
        subprocess.TimeoutExpired: If it takes longer.
    """
    # -P: the script's folder has modules with the names of the tools.
    command = [sys.executable, "-P", str(_CHILD), str(folder)]
    with subprocess.Popen(
        command,
        cwd=folder,  # elastix leaves extra files in its working folder
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,  # a group of processes of its own, to end it as a whole
    ) as child:
        try:
            output, errors = child.communicate(timeout=60 * minutes)
        except BaseException:  # of the time limit, or the user's interruption
            os.killpg(child.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, child.returncode, output, errors)


def _reason(child: subprocess.CompletedProcess[str]) -> str:
    """The last line of the tool's error output, or its exit code or signal."""
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    if child.returncode < 0:
        return f"it crashed, signal {-child.returncode}"
    return lines[-1] if lines else f"it ended with code {child.returncode}"
