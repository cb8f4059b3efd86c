"""DICOM segmentations (SEG) as label maps, read by highdicom."""

from pathlib import Path

import numpy as np
import pydicom

from voltween.errors import InputError
from voltween.io.itk import grid_in_frame
from voltween.process import require
from voltween.spatial import Grid

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def is_segmentation(path: Path) -> bool:
    """Whether the header of a DICOM file says that it is a segmentation."""
    try:
        header = pydicom.dcmread(path, specific_tags=["SOPClassUID"], defer_size=1024)
    except Exception:  # pydicom raises many kinds on damaged files; the reader reports
        return False
    return str(header.get("SOPClassUID", "")) == _SEGMENTATION


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
