"""Agreement of two scans: overlap, surfaces, landmarks, regularity of a transform.

Overlap and surface distances compare label arrays on one grid, fixed and moved.
Landmark distances are |T(fixed) - moving| in moving world mm, RAS+; inverse consistency
is in fixed world mm. Positions and transforms are those of `spatial`.
"""

from voltween.metrics.landmarks import (
    corresponding_landmarks as corresponding_landmarks,
)
from voltween.metrics.landmarks import (
    landmark_differences_mm as landmark_differences_mm,
)
from voltween.metrics.landmarks import landmark_distances_mm as landmark_distances_mm
from voltween.metrics.landmarks import (
    landmark_distances_voxels as landmark_distances_voxels,
)
from voltween.metrics.landmarks import (
    lengths_before_alignment_mm as lengths_before_alignment_mm,
)
from voltween.metrics.overlap import dice_per_label as dice_per_label
from voltween.metrics.overlap import iou_from_dice as iou_from_dice
from voltween.metrics.regularity import inverse_consistency_mm as inverse_consistency_mm
from voltween.metrics.regularity import measure_regularity as measure_regularity
from voltween.metrics.surfaces import SurfaceDistances as SurfaceDistances
from voltween.metrics.surfaces import (
    surface_distances_per_label as surface_distances_per_label,
)
