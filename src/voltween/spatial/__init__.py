"""Scanner space: grids, images, label maps, points, and transforms between scans.

World coordinates are RAS+ mm, numpy float64. Voxel (i, j, k) is a voxel center, in the
order of the stored array. A `Transform` maps FIXED world mm to MOVING world mm:
`map_points` carries points from fixed to moving, `resample(moving, onto=grid)` carries
an image from moving to fixed. Composition is `outer @ inner`. Everything is frozen.
"""

from voltween.spatial.alignment import align_centers as align_centers
from voltween.spatial.chain import slabs as slabs
from voltween.spatial.chain import smooth as smooth
from voltween.spatial.channel_resampling import Sampling as Sampling
from voltween.spatial.channel_resampling import resample_channels as resample_channels
from voltween.spatial.grid import Grid as Grid
from voltween.spatial.grid import directions_to_ras as directions_to_ras
from voltween.spatial.grid import nearest_world_axes as nearest_world_axes
from voltween.spatial.grid import spacing_and_shape as spacing_and_shape
from voltween.spatial.interpolation import Interpolation as Interpolation
from voltween.spatial.jacobian import jacobian_determinant as jacobian_determinant
from voltween.spatial.label_placement import (
    check_labels_on_scan as check_labels_on_scan,
)
from voltween.spatial.label_placement import (
    check_points_on_scan as check_points_on_scan,
)
from voltween.spatial.multichannel import Meaning as Meaning
from voltween.spatial.multichannel import MultichannelImage as MultichannelImage
from voltween.spatial.orientation import reorder_grid_to_ras as reorder_grid_to_ras
from voltween.spatial.orientation import reorder_volume_to_ras as reorder_volume_to_ras
from voltween.spatial.origins import origins_mm as origins_mm
from voltween.spatial.resampling import resample_smoothly as resample_smoothly
from voltween.spatial.spline_field import SplineField as SplineField
from voltween.spatial.target_grids import grid_around as grid_around
from voltween.spatial.target_grids import with_spacing as with_spacing
from voltween.spatial.transform import Affine as Affine
from voltween.spatial.transform import Composite as Composite
from voltween.spatial.transform import DisplacementField as DisplacementField
from voltween.spatial.transform import Field as Field
from voltween.spatial.transform import Transform as Transform
from voltween.spatial.unfolding import remove_folds as remove_folds
from voltween.spatial.volume import Image as Image
from voltween.spatial.volume import LabelMap as LabelMap
from voltween.spatial.volume import Points as Points
from voltween.spatial.volume import Volume as Volume
from voltween.spatial.volume import labels_in_common as labels_in_common
from voltween.spatial.volume import looks_like_labels as looks_like_labels
