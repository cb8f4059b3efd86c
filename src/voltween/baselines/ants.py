"""ANTs through the package antspyx: the paper's commands, and SyN with its defaults.

References:
    Avants et al. 2011, A reproducible evaluation of ANTs similarity metric performance
    in brain image registration, doi:10.1016/j.neuroimage.2010.09.025.
"""

from pathlib import Path

from voltween import io
from voltween.baselines.tools import Tool
from voltween.spatial import Transform

# Appendix C-E of the paper, verbatim.
_RIGID_AND_AFFINE = """
-d 3 -o <OutFileSpec>
-u 1 -w [0.025,0.975]
-r [<Fixed>,<Moving>,1]
-t Rigid[0.1]
-m MI[<Fixed>,<Moving>,1,32,Regular,0.2]
-c [2000x2000x2000,1e-9,15]
-s 2x1x0 -f 4x2x1
-t Affine[0.1]
-m MI[<Fixed>,<Moving>,1,32,Regular,0.1]
-c [2000x2000x2000,1e-9,15]
-s 2x1x0 -f 4x2x1
"""
_SYN = """
-t SyN[0.15,3.0,0.0]
-m CC[<Fixed>,<Moving>,1,4]
-c [100x100x100x50,1e-9,15]
-s 3x2x1x0 -f 6x4x2x1
"""
_FILES = {
    "<Fixed>": "{folder}/fixed.nii",
    "<Moving>": "{folder}/moving.nii",
    "<OutFileSpec>": "[{folder}/,{folder}/moved.nii]",
}


def _command(text: str) -> dict[str, str]:
    for place, file in _FILES.items():
        text = text.replace(place, file)
    return {"tool": "ants", "command": text}


def _read(folder: Path) -> Transform:
    """Reads ANTs's output: an affine transform after a displacement field, if any."""
    affine = io.read_transform(folder / "0GenericAffine.mat")
    warp = folder / "1Warp.nii.gz"
    return affine @ io.read_transform(warp) if warp.exists() else affine


ants = Tool(
    name="ANTs",
    package="antspyx",
    task=lambda: _command(_RIGID_AND_AFFINE + _SYN),
    read=_read,
    moved="moved.nii",
)
"""The paper's command: rigid, affine, then SyN with CC; fixed to moving world mm."""

ants_affine = Tool(
    name="ANTs",
    package="antspyx",
    task=lambda: _command(_RIGID_AND_AFFINE),
    read=_read,
    moved="moved.nii",
    is_affine=True,
)
"""The paper's command for affine pre-alignment; fixed to moving world mm."""

ants_syn = Tool(
    name="ANTs",
    package="antspyx",
    task=lambda: {"tool": "ants", "command": "", "type": "SyN"},
    read=_read,
    moved="moved.nii",
)
"""SyN with antspyx's defaults, the most common use; fixed to moving world mm."""

ants_syncc = Tool(
    name="ANTs",
    package="antspyx",
    task=lambda: {"tool": "ants", "command": "", "type": "SyNCC"},
    read=_read,
    moved="moved.nii",
)
"""antspyx's SyNCC: local correlation, most accurate; fixed to moving world mm."""
