"""Headers of AFNI's data sets: a text (.HEAD), and the voxels beside it (.BRIK)."""

from io import StringIO

import numpy as np
from nibabel.brikhead import AFNIHeader, AFNIHeaderError, AFNIImageError

from voltween.errors import InputError
from voltween.io.container import Content
from voltween.io.pairs import half_of_pair
from voltween.io.stored import GZIP, RAW, StoredVoxels
from voltween.io.volume_file import VolumeFile, volumes_of
from voltween.spatial import Grid

_MOST_HEADER_BYTES = 1 << 24
_DAMAGE = (AFNIHeaderError, AFNIImageError, KeyError, ValueError, IndexError, TypeError)
_SECONDS_PER_UNIT = {77001: 1e-3, 77002: 1.0}


def open_afni(content: Content) -> VolumeFile:
    """Reads and checks a header; sub-bricks are volumes.

    The place is the real one (IJK_TO_DICOM_REAL), with its obliquity, as in NIfTI files
    that AFNI writes.

    Raises:
        InputError: If the header is damaged, or its voxels are missing.
    """
    with content.path.open("rb") as file:
        text = file.read(_MOST_HEADER_BYTES).decode("latin-1")
    try:
        header = AFNIHeader.from_fileobj(StringIO(text))
        shape = tuple(int(n) for n in header.get_data_shape())
        affine = np.asarray(header.get_affine(), np.float64)
        scales = header.get_data_scaling()
        dtype = header.get_data_dtype()
        step_s = _step_s(header.info)
    except _DAMAGE as error:
        raise InputError(
            expected="a whole header of AFNI",
            got=f"one that is damaged ({str(error)[:80]})",
            advice="3dAFNItoNIFTI converts data sets of mixed types",
        ) from error
    sizes = volumes_of(shape)
    voxels = half_of_pair(content.path, ".BRIK")
    with voxels.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return VolumeFile(
        path=content.path,
        kind=content.kind,
        sizes=sizes,
        components=1,
        dtype=dtype,
        grid=Grid((shape[0], shape[1], shape[2]), affine),
        voxels=StoredVoxels(voxels, 0, GZIP if is_gzip else RAW),
        slope=_slope(scales),
        meaning="series" if len(sizes) > 3 else "scalar",
        step_s=step_s,
    )


def _slope(scales: np.ndarray | None) -> float | np.ndarray:
    """One factor, or one per volume if they differ."""
    if scales is None:
        return 1.0
    if not np.isfinite(scales).all():
        raise InputError(expected="finite BRICK_FLOAT_FACS", got=scales.tolist())
    return float(scales[0]) if len(set(scales.tolist())) == 1 else scales


def _step_s(info: dict) -> float:
    """Time between volumes in seconds; 1 if there is none."""
    floats, numbers = info.get("TAXIS_FLOATS", ()), info.get("TAXIS_NUMS", ())
    if len(floats) < 2 or len(numbers) < 3 or floats[1] <= 0:
        return 1.0
    return float(floats[1]) * _SECONDS_PER_UNIT.get(numbers[2], 1.0)
