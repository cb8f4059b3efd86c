"""Opens an image file of any kind; its first bytes decide, and not its name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from voltween.io.afni_volume import open_afni
from voltween.io.container import (
    AFNI_VOLUME,
    METAIMAGE,
    MGH,
    MRTRIX,
    NRRD,
    Content,
    Kind,
    check_file,
)
from voltween.io.metaimage import open_metaimage
from voltween.io.mgh import open_mgh
from voltween.io.mrtrix import open_mrtrix
from voltween.io.nifti_header import NIFTI_KINDS, open_nifti
from voltween.io.nrrd import open_nrrd
from voltween.io.pairs import header_of_pair
from voltween.io.volume_file import VolumeFile
from voltween.storage import PathLike, existing_file, naming

_OPENERS: dict[Kind, Callable[[Content], VolumeFile]] = {
    NRRD: open_nrrd,
    METAIMAGE: open_metaimage,
    MGH: open_mgh,
    AFNI_VOLUME: open_afni,
    MRTRIX: open_mrtrix,
}
VOLUME_KINDS = (*NIFTI_KINDS, *_OPENERS)
"""The kinds of files that hold voxels and that are read here."""


def open_volume(
    path: PathLike,
    *,
    expected: str = "an image (NIfTI, NRRD, MetaImage, MGH, AFNI, MRtrix or DICOM)",
    analyze_directions: Float[np.ndarray, "3 3"] | None = None,
) -> VolumeFile:
    """Reads and checks the header of an image file, or of a displacement field.

    `expected` says in errors what the caller reads; for `analyze_directions` see
    `open_nifti`.

    Raises:
        InputError: If it is no image, or its header contradicts itself or the file.
            Names the file.
    """
    file = existing_file(Path(path))
    content = check_file(file)
    if content.kind not in VOLUME_KINDS:  # the voxels of a pair have no mark
        with naming(file):
            content = check_file(header_of_pair(file))
    content.expect(VOLUME_KINDS, expected)
    with naming(file):
        if content.kind in NIFTI_KINDS:
            return open_nifti(content, analyze_directions)
        return _OPENERS[content.kind](content)
