"""Segmentation by atlases: labeled scans are registered to one, their labels fused.

An atlas has a transform from the world of the scan to be labeled to its own, both RAS+
mm: the scan is the fixed image, and the atlas the moving one. Labels are fused on the
scan's own grid.
"""

from voltween.fusion.candidates import Atlas as Atlas
from voltween.fusion.fusing import Fusion as Fusion
from voltween.fusion.fusing import fuse_labels as fuse_labels
from voltween.fusion.segmenting import Segmentation as Segmentation
from voltween.fusion.segmenting import SegmentationOptions as SegmentationOptions
from voltween.fusion.segmenting import segment_scan as segment_scan
