"""Agreement of two scans: overlap, surfaces, landmarks, regularity of a transform.

Overlap and surface distances compare label arrays on one grid, fixed and moved.
Landmark distances are |T(fixed) - moving| in moving world mm, RAS+, or
|T^-1(moving) - fixed| in fixed world mm; inverse consistency is in fixed world mm.
Positions and transforms are those of `spatial`.
"""

from voltween.metrics.landmarks import (
    corresponding_landmarks as corresponding_landmarks,
)
from voltween.metrics.landmarks import (
    landmark_differences_in_fixed_mm as landmark_differences_in_fixed_mm,
)
from voltween.metrics.landmarks import landmark_distances_mm as landmark_distances_mm
from voltween.metrics.landmarks import lengths_voxels as lengths_voxels
from voltween.metrics.overlap import dice_per_label as dice_per_label
from voltween.metrics.overlap import iou_from_dice as iou_from_dice
from voltween.metrics.overlap import iou_of_union as iou_of_union
from voltween.metrics.overlap import (
    warn_if_nothing_overlaps as warn_if_nothing_overlaps,
)
from voltween.metrics.regularity import inside_percent as inside_percent
from voltween.metrics.regularity import inverse_consistency_mm as inverse_consistency_mm
from voltween.metrics.regularity import measure_regularity as measure_regularity
from voltween.metrics.surfaces import SurfaceDistances as SurfaceDistances
from voltween.metrics.surfaces import (
    surface_distances_per_label as surface_distances_per_label,
)
