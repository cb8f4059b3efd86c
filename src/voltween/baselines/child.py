"""Script that runs one tool on two files of a folder, in a separate process.

ANTs, itk, greedy and SimpleITK each contain their own ITK. Two of them in one process
can crash, and so can a tool on a bad image. The script imports nothing of Voltween, so
that only the tool is measured.

Its working folder has task.json and the scans, fixed.nii and moving.nii. It writes
moved.nii or moved.mha, the transform, and used.json.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SEED = 1  # the tools sample the images randomly
_SET_SIGNAL_AT_END_OF_PARENT = 1  # PR_SET_PDEATHSIG of prctl


def _ants(folder: Path, task: dict[str, Any]) -> Callable[[], None]:
    import ants

    ants.config.set_ants_deterministic(False, _SEED)  # True would also seed NumPy
    if task["command"]:
        words = [word.format(folder=folder) for word in task["command"].split()]
        words += ["--random-seed", str(_SEED)]
        return lambda: _discard(ants.registration(words, None))

    def register() -> None:
        images = [
            ants.image_read(str(folder / f"{n}.nii")) for n in ("fixed", "moving")
        ]
        result = ants.registration(
            *images, type_of_transform=task["type"], outprefix=f"{folder}/"
        )
        ants.image_write(result["warpedmovout"], str(folder / "moved.nii"))

    return register


def _elastix(folder: Path, task: dict[str, Any]) -> Callable[[], None]:
    import itk

    parameters = itk.ParameterObject.New()
    for kind, changes in task["stages"]:
        stage = parameters.GetDefaultParameterMap(kind)
        for name, value in {**changes, "RandomSeed": str(_SEED)}.items():
            stage[name] = [value]
        parameters.AddParameterMap(stage)

    def register() -> None:
        images = [
            itk.imread(str(folder / f"{name}.nii"), itk.F)
            for name in ("fixed", "moving")
        ]
        moved, result = itk.elastix_registration_method(
            *images, parameter_object=parameters, log_to_console=False
        )
        itk.imwrite(moved, str(folder / "moved.mha"))
        field = itk.transformix_deformation_field(images[1], result)
        itk.imwrite(field, str(folder / "field.mha"))

    return register


def _greedy(folder: Path, task: dict[str, Any]) -> Callable[[], None]:
    from picsl_greedy import Greedy3D

    greedy = Greedy3D()
    settings = f"-d 3 -seed {_SEED} -V 0"
    if threads := _threads():
        settings += f" -threads {threads}"

    def register() -> None:
        for command in task["commands"]:
            greedy.execute(f"{settings} {command}")

    return register


def _convexadam(folder: Path, task: dict[str, Any]) -> Callable[[], None]:
    import nibabel
    import numpy as np
    import torch
    from convexAdam.apply_convex import apply_convex
    from convexAdam.convex_adam_MIND import convex_adam_pt

    torch.manual_seed(_SEED)
    if threads := _threads():
        torch.set_num_threads(threads)

    def register() -> None:
        files = [nibabel.load(folder / f"{n}.nii") for n in ("fixed", "moving")]
        images = [file.get_fdata(dtype=np.float32) for file in files]
        displacements = convex_adam_pt(
            *images, dtype=torch.float32, device=torch.device("cpu")
        )
        np.save(folder / "flow.npy", np.moveaxis(displacements, -1, 0))
        moved = apply_convex(displacements, images[1])
        nibabel.save(nibabel.Nifti1Image(moved, files[0].affine), folder / "moved.nii")

    return register


def _threads() -> int | None:
    """The number of threads that ITK is told to use, for tools without ITK too."""
    number = os.environ.get("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    return int(number) if number else None


def _discard(result: object) -> None:
    """Drops the return value: a command line writes its results to files."""


_TOOLS = {
    "ants": _ants,
    "elastix": _elastix,
    "greedy": _greedy,
    "convexadam": _convexadam,
}


def _main() -> None:
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    start = time.perf_counter()
    register = _TOOLS[task["tool"]](folder, task)
    loaded, loaded_processor = time.perf_counter(), time.process_time()
    register()
    used = {
        "loading_seconds": loaded - start,
        "seconds": time.perf_counter() - loaded,
        "processor_seconds": time.process_time() - loaded_processor,
        "peak_bytes": _peak_bytes(),
    }
    (folder / "used.json").write_text(json.dumps(used))


def _peak_bytes() -> int:
    """Peak memory of this process, in bytes.

    On Linux, getrusage would give that of the parent if it was larger at the start.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes
    lines = status.read_text("utf-8").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


def _end_with_parent() -> None:
    """Makes Linux end this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_SIGNAL_AT_END_OF_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    _end_with_parent()
    _main()
