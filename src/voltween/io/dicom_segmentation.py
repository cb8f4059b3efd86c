"""DICOM segmentations (SEG) as label maps, read by highdicom."""

from pathlib import Path

import numpy as np
import pydicom

from voltween.errors import InputError
from voltween.io.dicom_slices import reporting_damage
from voltween.io.itk import grid_in_frame
from voltween.process import require
from voltween.spatial import Grid

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
"""The SOP class of segmentations."""
_DEFERRED_BYTES = 4096  # longer values, such as pixels, are not read


def read_segmentation(path: Path) -> tuple[np.ndarray, Grid]:
    """Reads the numbers of segments (I, J, K) and their grid; `path` is not named.

    Planes that the file leaves out are background.

    Raises:
        InputError: If the file is damaged, its segments overlap or are fractions, or
            its planes are no regular stack.
        MissingPackageError: If highdicom is not installed.
    """
    require("highdicom", extra="formats", purpose="DICOM segmentations")
    from highdicom.seg import segread

    try:
        volume = segread(path).get_volume(combine_segments=True)
    except MemoryError:  # no fault of the file
        raise
    except Exception as error:  # highdicom and pydicom raise many kinds
        raise InputError(
            expected="a whole DICOM segmentation of a regular stack, without overlaps",
            got=f"something else ({' '.join(str(error).split())[:100]})",
            advice="convert it by segimage2itkimage of dcmqi",
        ) from error
    array = np.asarray(volume.array)
    i, j, k = array.shape[:3]
    return array, grid_in_frame((i, j, k), np.asarray(volume.affine))


def segment_names(path: Path) -> dict[int, str]:
    """The name of every segment.

    Raises:
        InputError: If the file is damaged.
    """
    with reporting_damage(path):
        header = pydicom.dcmread(
            path, specific_tags=["SegmentSequence"], defer_size=_DEFERRED_BYTES
        )
        return {
            int(item.SegmentNumber): str(item.SegmentLabel).strip()
            for item in header.SegmentSequence
        }
