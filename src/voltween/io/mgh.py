"""Headers of FreeSurfer's MGH files, plain (.mgh) or compressed (.mgz)."""

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from voltween.errors import InputError
from voltween.io.container import Content
from voltween.io.stored import GZIP, RAW, StoredVoxels
from voltween.io.volume_file import VolumeFile, volumes_of
from voltween.spatial import Grid


def open_mgh(content: Content) -> VolumeFile:
    """Reads and checks the header of an MGH file.

    Raises:
        InputError: If the header is damaged, or the file holds no single 3D image.
    """
    try:
        header = MGHHeader(content.head[: MGHHeader.template_dtype.itemsize])
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = header.get_data_dtype()
        affine = header.get_affine()
    except (HeaderDataError, WrapStructError, KeyError, ValueError) as error:
        raise InputError(
            expected=content.kind.name, got=f"a damaged header ({error})"
        ) from error
    sizes = volumes_of(shape)
    if not np.isfinite(affine).all():
        raise InputError(expected="finite positions in its header", got=affine.tolist())
    return VolumeFile(
        path=content.path,
        kind=content.kind,
        sizes=sizes,
        components=1,
        dtype=dtype,
        grid=Grid((shape[0], shape[1], shape[2]), affine),
        voxels=StoredVoxels(
            content.path,
            int(header.get_data_offset()),
            GZIP if content.is_gzip else RAW,
            has_end=False,  # scan parameters follow
        ),
        meaning="series" if len(sizes) > 3 else "scalar",
    )
