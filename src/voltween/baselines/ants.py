"""ANTs, by the package antspyx: the paper's command lines, and SyN as most use it.

References:
    Avants et al. 2011, A reproducible evaluation of ANTs similarity metric performance
    in brain image registration, doi:10.1016/j.neuroimage.2010.09.025.
"""

import tempfile
from pathlib import Path
from typing import Any

from voltween import io
from voltween.baselines.checked import checked
from voltween.errors import InputError
from voltween.transform import Affine, Transform
from voltween.volume import Image

PACKAGE = "antspyx"
_SEED = 1  # ANTs samples the images at random

# Appendix C-E of the paper, as printed; in braces what it has in angle brackets.
_RIGID_AND_AFFINE = """
-d 3 -o [{out},{moved}]
-u 1 -w [0.025,0.975]
-r [{fixed},{moving},1]
-t Rigid[0.1]
-m MI[{fixed},{moving},1,32,Regular,0.2]
-c [2000x2000x2000,1e-9,15]
-s 2x1x0 -f 4x2x1
-t Affine[0.1]
-m MI[{fixed},{moving},1,32,Regular,0.1]
-c [2000x2000x2000,1e-9,15]
-s 2x1x0 -f 4x2x1
"""
_SYN = """
-t SyN[0.15,3.0,0.0]
-m CC[{fixed},{moving},1,4]
-c [100x100x100x50,1e-9,15]
-s 3x2x1x0 -f 6x4x2x1
"""


def ants(fixed: Image, moving: Image) -> Transform:
    """Fixed to moving world mm by the paper's command: rigid, affine, SyN with CC.

    Raises:
        InputError: If antspyx is missing, ANTs fails, or its moved image is not ours.
    """
    return _by_command(_RIGID_AND_AFFINE + _SYN, fixed, moving)


def ants_affine(fixed: Image, moving: Image) -> Affine:
    """Fixed to moving world mm by the paper's command for affine pre-alignment.

    Raises:
        InputError: If antspyx is missing, ANTs fails, or its moved image is not ours.
    """
    affine = _by_command(_RIGID_AND_AFFINE, fixed, moving)
    assert isinstance(affine, Affine)
    return affine


def ants_syn(fixed: Image, moving: Image) -> Transform:
    """Fixed to moving world mm by `ants.registration(fixed, moving, "SyN")`.

    The defaults of antspyx, which most who use ANTs from Python run.

    Raises:
        InputError: If antspyx is missing, ANTs fails, or its moved image is not ours.
    """
    tool = _antspyx()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = [tool.image_read(str(file)) for file in _files(folder, fixed, moving)]
        try:
            result = tool.registration(
                *images, type_of_transform="SyN", outprefix=f"{folder}/"
            )
        except RuntimeError as error:
            raise _failure(error) from error
        tool.image_write(result["warpedmovout"], str(folder / "moved.nii"))
        return _answer(folder, fixed, moving)


def _by_command(command: str, fixed: Image, moving: Image) -> Transform:
    tool = _antspyx()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fixed_file, moving_file = _files(folder, fixed, moving)
        words = command.format(
            fixed=fixed_file,
            moving=moving_file,
            out=f"{folder}/",
            moved=folder / "moved.nii",
        )
        try:
            tool.registration(words.split(), None)  # runs a command line
        except RuntimeError as error:
            raise _failure(error) from error
        return _answer(folder, fixed, moving)


def _antspyx() -> Any:
    try:
        import ants as tool
    except ImportError as error:
        raise InputError(
            f"ANTs needs the package {PACKAGE}, which is not installed: "
            "pip install voltween[baselines]"
        ) from error
    tool.config.set_ants_deterministic(False, _SEED)  # True would also seed NumPy
    return tool


def _files(folder: Path, fixed: Image, moving: Image) -> tuple[Path, Path]:
    return (
        io.write(fixed, folder / "fixed.nii"),
        io.write(moving, folder / "moving.nii"),
    )


def _answer(folder: Path, fixed: Image, moving: Image) -> Transform:
    """The transform that ANTs wrote: an affine one after a displacement field."""
    transform = io.read_transform(folder / "0GenericAffine.mat")
    warp = folder / "1Warp.nii.gz"
    if warp.exists():
        transform = transform @ io.read_transform(warp)
    own = io.read(folder / "moved.nii")
    return checked("ANTs", transform, fixed, moving, own)


def _failure(error: RuntimeError) -> InputError:
    return InputError(f"ANTs cannot register these images ({error}): leave them out")
