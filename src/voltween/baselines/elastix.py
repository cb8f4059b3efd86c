"""elastix through the package itk-elastix: affine, then B-spline, 1000 iterations.

References:
    Klein et al. 2010, elastix: A Toolbox for Intensity-Based Medical Image
    Registration, doi:10.1109/TMI.2009.2035616.
"""

from typing import Any

from voltween import io
from voltween.baselines.tools import Tool

PUBLISHED_ITERATIONS = 1000
"""Iterations per resolution, according to the name of the paper's parameter file."""


def _task(iterations: int) -> dict[str, Any]:
    # Final interpolation is linear, like ours, so that moved images are comparable.
    linear = {"ResampleInterpolator": "FinalLinearInterpolator"}
    # Without this, scans that are far apart in the world cannot be registered.
    affine = {**linear, "AutomaticTransformInitialization": "true"}
    splines = {**linear, "MaximumNumberOfIterations": str(iterations)}
    return {"tool": "elastix", "stages": [["affine", affine], ["bspline", splines]]}


def elastix_with(iterations: int) -> Tool:
    """Makes elastix with its default parameters; its field maps fixed to moving mm.

    The B-spline has so many iterations per resolution, and a final control point
    spacing of 10 mm. The affine stage starts with the centers of the scans aligned.
    """
    is_published = iterations == PUBLISHED_ITERATIONS
    return Tool(
        name="elastix",
        package="itk-elastix",
        task=lambda: _task(iterations),
        read=lambda folder: io.read_transform(folder / "field.mha"),
        moved="moved.mha",
        facts={} if is_published else {"iterations": str(iterations)},
    )


elastix = elastix_with(PUBLISHED_ITERATIONS)
"""elastix with the paper's iterations; the parameter file itself is not published."""
