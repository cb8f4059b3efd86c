"""elastix, by the package itk-elastix: affine, then B-spline with 1000 iterations.

References:
    Klein et al. 2010, elastix: A Toolbox for Intensity-Based Medical Image
    Registration, doi:10.1109/TMI.2009.2035616.
"""

from typing import Any

from voltween import io
from voltween.baselines.tools import Tool

_ITERATIONS = "1000"


def _task() -> dict[str, Any]:
    # Linear only for the moved image that it makes at the end: so is ours.
    linear = {"ResampleInterpolator": "FinalLinearInterpolator"}
    # Else scans that lie apart in the world cannot be registered at all.
    affine = {**linear, "AutomaticTransformInitialization": "true"}
    splines = {**linear, "MaximumNumberOfIterations": _ITERATIONS}
    return {"tool": "elastix", "stages": [["affine", affine], ["bspline", splines]]}


elastix = Tool(
    name="elastix",
    package="itk-elastix",
    task=_task,
    read=lambda folder: io.read_transform(folder / "field.mha"),
    moved="moved.mha",
)
"""Fixed to moving world mm, a field on the fixed grid, by elastix' default parameters.

The B-spline has 1000 iterations a resolution, as the name of the paper's parameter file
says (the file is not printed); its control points are 10 mm apart at the end. The
affine stage starts with the scans' middles laid on each other.
"""
