"""elastix through the package itk-elastix: affine, then B-spline, 1000 iterations.

References:
    Klein et al. 2010, elastix: A Toolbox for Intensity-Based Medical Image
    Registration, doi:10.1109/TMI.2009.2035616.
"""

from typing import Any

from voltween import io
from voltween.baselines.tools import Tool

_ITERATIONS = "1000"


def _task() -> dict[str, Any]:
    # Final interpolation is linear, like ours, so that moved images are comparable.
    linear = {"ResampleInterpolator": "FinalLinearInterpolator"}
    # Without this, scans that are far apart in the world cannot be registered.
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
"""elastix with its default parameters; a field on the fixed grid, fixed to moving mm.

The B-spline has 1000 iterations per resolution, according to the name of the paper's
parameter file (the file itself is not published); its final control point spacing is
10 mm. The affine stage starts with the centers of the two scans aligned.
"""
