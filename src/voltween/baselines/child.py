"""Script that runs ANTs or elastix on two files of a folder, in a separate process.

ANTs, itk and SimpleITK each contain their own ITK. Two of them in one process can
crash, and so can a tool on a bad image. The script imports nothing of Voltween, so that
only the tool is measured.

It reads task.json and writes moved.nii or moved.mha, the transform, and used.json.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SEED = 1  # both tools sample the images randomly


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


def _discard(result: object) -> None:
    """Drops the return value: a command line writes its results to files."""


def _main() -> None:
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text())
    start = time.perf_counter()
    register = {"ants": _ants, "elastix": _elastix}[task["tool"]](folder, task)
    loaded, loaded_processor = time.perf_counter(), time.process_time()
    register()
    used = {
        "loading_seconds": loaded - start,
        "seconds": time.perf_counter() - loaded,
        "processor_seconds": time.process_time() - loaded_processor,
        # Kilobytes on Linux, bytes on macOS.
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
    }
    (folder / "used.json").write_text(json.dumps(used))


if __name__ == "__main__":
    _main()
