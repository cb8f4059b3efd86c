"""greedy, affine and then deformable, with the settings of its documentation.

References:
    Yushkevich et al. 2016, Fast automatic segmentation of hippocampal subfields and
    medial temporal lobe subregions in 3 Tesla and 7 Tesla T2-weighted MRI,
    doi:10.1016/j.jalz.2016.06.205; https://greedy.readthedocs.io.
"""

from pathlib import Path

import numpy as np

from voltween import io
from voltween.baselines.tools import Tool
from voltween.spatial import Affine, Transform

_MOVE = "-rf fixed.nii -rm moving.nii moved.nii -r warp.nii.gz affine.mat"


def _commands(metric: str) -> tuple[str, ...]:
    """The affine part, the deformable part, and the moved image."""
    pair = f"-i fixed.nii moving.nii -m {metric} -n 100x50x10"
    return (
        f"-a -dof 12 -ia-image-centers {pair} -o affine.mat",
        # -wp 0: by default, displacements are rounded to tenths of a voxel in the file.
        f"-s 1.732vox 0.7071vox {pair} -it affine.mat -wp 0 -o warp.nii.gz",
        _MOVE,
    )


def _read(folder: Path) -> Transform:
    """Reads the affine matrix, RAS+ mm as text, after the displacement field (ITK)."""
    affine = Affine(np.loadtxt(folder / "affine.mat"))
    return affine @ io.read_transform(folder / "warp.nii.gz")


def _greedy(metric: str) -> Tool:
    return Tool(
        name="greedy",
        package="picsl-greedy",
        task=lambda: {"tool": "greedy", "commands": _commands(metric)},
        read=_read,
        moved="moved.nii",
    )


greedy = _greedy("NCC 2x2x2")
"""greedy: local correlation, affine then deformable; fixed to moving world mm.

The affine stage starts with the centers of the two scans aligned. With one thread, the
result is always the same.
"""

greedy_nmi = _greedy("NMI")
"""The same with normalized mutual information, for scans of different contrasts."""
