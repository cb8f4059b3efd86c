"""Label maps in DICOM files: segmentations (SEG) and structure sets (RTSTRUCT)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom

from voltween.errors import InputError
from voltween.io.dicom import read_dicom_file
from voltween.io.dicom_segmentation import (
    SEGMENTATION,
    read_segmentation,
    segment_names,
)
from voltween.io.dicom_structures import (
    STRUCTURE_SET,
    read_structure_set,
    structure_set_names,
)
from voltween.spatial import Grid

_READERS: dict[str, Callable[[Path], tuple[np.ndarray, Grid]]] = {
    SEGMENTATION: read_segmentation,
    STRUCTURE_SET: read_structure_set,
}
_NAMES = {SEGMENTATION: segment_names, STRUCTURE_SET: structure_set_names}


def read_dicom_labels(path: Path) -> tuple[np.ndarray, Grid]:
    """Reads the labels (I, J, K) in a DICOM file, and their grid.

    Raises:
        InputError: As the reader of the file's kind.
    """
    return _READERS.get(sop_class(path), read_dicom_file)(path)


def check_is_scan(path: Path) -> None:
    """Checks that a DICOM file is no structure set, which has no intensities.

    Raises:
        InputError: If it is one.
    """
    if sop_class(path) == STRUCTURE_SET:
        raise InputError(
            expected="a scan",
            got="a structure set (RTSTRUCT), which holds contours",
            advice="give it as labels (voltween apply: --labels)",
        )


def dicom_structure_names(path: Path) -> dict[int, str]:
    """The names of labels that a DICOM file states; none of a scan.

    Raises:
        InputError: If the file is damaged; `path` is not named.
    """
    reader = _NAMES.get(sop_class(path))
    return reader(path) if reader else {}


def sop_class(path: Path) -> str:
    """The UID of a DICOM file's kind; empty if it is damaged, which readers report."""
    try:
        header = pydicom.dcmread(path, specific_tags=["SOPClassUID"], defer_size=1024)
    except MemoryError:  # no fault of the file
        raise
    except Exception:  # pydicom raises many kinds on damaged files
        return ""
    return str(header.get("SOPClassUID", ""))
