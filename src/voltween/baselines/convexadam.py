"""ConvexAdam with MIND features, on the CPU, with the defaults of its package.

References:
    Siebert et al. 2024, ConvexAdam: Self-Configuring Dual-Optimisation-Based 3D
    Multitask Medical Image Registration, doi:10.1109/TMI.2024.3436713.
"""

from pathlib import Path

import numpy as np

from voltween import io
from voltween.baselines.tools import Tool
from voltween.spatial import DisplacementField, align_centers


def _read(folder: Path) -> DisplacementField:
    """Reads the displacements, in voxels of the fixed grid along its axes."""
    flow = np.load(folder / "flow.npy")
    return DisplacementField.from_flow(flow, io.read(folder / "fixed.nii").grid)


convexadam = Tool(
    name="ConvexAdam",
    package="convexadam",
    task=lambda: {"tool": "convexadam"},
    read=_read,
    moved="moved.nii",
    initial=align_centers,
)
"""ConvexAdam: a field on the fixed grid after the alignment of the centers.

ConvexAdam has no affine stage. It expects scans that are aligned and on one voxel grid,
therefore the moving scan is first resampled onto the fixed grid with the centers and
axes of the two scans aligned.
"""
