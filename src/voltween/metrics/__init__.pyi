from .landmarks import (
    corresponding_landmarks as corresponding_landmarks,
)
from .landmarks import (
    landmark_differences_in_fixed_mm as landmark_differences_in_fixed_mm,
)
from .landmarks import landmark_distances_mm as landmark_distances_mm
from .landmarks import lengths_voxels as lengths_voxels
from .overlap import dice_per_label as dice_per_label
from .overlap import iou_from_dice as iou_from_dice
from .overlap import iou_of_union as iou_of_union
from .overlap import (
    warn_if_nothing_overlaps as warn_if_nothing_overlaps,
)
from .regularity import inside_percent as inside_percent
from .regularity import inverse_consistency_mm as inverse_consistency_mm
from .regularity import measure_regularity as measure_regularity
from .surfaces import SurfaceDistances as SurfaceDistances
from .surfaces import (
    surface_distances_per_label as surface_distances_per_label,
)
