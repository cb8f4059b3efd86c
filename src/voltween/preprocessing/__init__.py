"""Turns a scan into the input of a network: foreground, canonical grid, intensities.

Input and output are images in RAS+ mm. The output lies on a canonical grid, whose axes
are the scan's own nearest to R, A and S, and its intensities are 0 to 1.
"""

from voltween.preprocessing.cut_out import find_cut_out as find_cut_out
from voltween.preprocessing.field_of_view import coverage as coverage
from voltween.preprocessing.field_of_view import is_covered as is_covered
from voltween.preprocessing.foreground import find_foreground as find_foreground
from voltween.preprocessing.foreground import find_head as find_head
from voltween.preprocessing.foreground import resample_coarsely as resample_coarsely
from voltween.preprocessing.hounsfield import DENSER_THAN_LUNG as DENSER_THAN_LUNG
from voltween.preprocessing.hounsfield import hounsfield_offset as hounsfield_offset
from voltween.preprocessing.hounsfield import looks_like_ct as looks_like_ct
from voltween.preprocessing.hounsfield import sample_voxels as sample_voxels
from voltween.preprocessing.padding import without_padding as without_padding
from voltween.preprocessing.preprocess import Placement as Placement
from voltween.preprocessing.preprocess import Preprocessing as Preprocessing
from voltween.preprocessing.preprocess import check_has_contrast as check_has_contrast
from voltween.preprocessing.preprocess import check_is_scan as check_is_scan
from voltween.preprocessing.preprocess import foreground_range as foreground_range
