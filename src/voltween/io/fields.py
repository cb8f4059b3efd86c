"""Displacement fields in image files, as ITK, ANTs and Slicer write them."""

import math
import re

import nibabel
import numpy as np

from voltween.errors import InputError
from voltween.io.container import METAIMAGE, NIFTI, NIFTI2, NRRD, Content
from voltween.io.itk import flip_vectors
from voltween.io.volumes import open_volume
from voltween.spatial import DisplacementField
from voltween.storage import naming

FIELD_KINDS = (NIFTI, NIFTI2, NRRD, METAIMAGE)
"""The kinds of files that hold displacement fields."""
_HEADERS = {NIFTI: nibabel.Nifti1Header, NIFTI2: nibabel.Nifti2Header}
_ACCEPTED_UNITS = (0, 2)  # of NIfTI: unknown and mm
_UNIT_BITS = 7
_COLORS_OR_COMPLEX = (32, 128, 1792, 2048, 2304)  # data types of NIfTI
_RAS_INTENT = 1006  # the standard's displacement vectors; ITK and ANTs write 1007
_EXPECTED = "a displacement field (3D, 3 real numbers per voxel)"
_SAVE_AS_ITK = "save it as an ITK displacement field"
# Intents of NIfTI that other tools give to fields in conventions of their own.
_FSL_INTENTS = {
    2006: "a displacement field of FSL",
    2007: "spline coefficients of FSL's fnirt",
    2008: "cosine coefficients of FSL's fnirt",
    2009: "quadratic spline coefficients of FSL's fnirt",
    2016: "spline coefficients of FSL's topup",
    2017: "quadratic spline coefficients of FSL's topup",
    2018: "a field of FSL's topup",
}
_FROM_FSL = (
    "voltween convert FILE --convention fsl --to itk --fixed FIXED --moving MOVING "
    '--out X.nii.gz; or in Python convention="fsl"'
)


def read_field(content: Content) -> DisplacementField:
    """Reads a field; vectors are LPS as in ITK, or RAS with NIfTI's intent 1006.

    Raises:
        InputError: If the file holds no such field, or is damaged. Names the file.
    """
    with naming(content.path):
        _check_meaning(content)
    volume = open_volume(content.path, expected=_EXPECTED)
    with naming(content.path):
        if volume.components != 3 or math.prod(volume.sizes[3:]) != 1:
            raise InputError(
                expected=_EXPECTED,
                got=f"{volume.components} per voxel of "
                f"{' x '.join(map(str, volume.sizes))}",
            )
    vectors = volume.read().reshape((*volume.grid.shape, 3)).astype(np.float64)
    with naming(content.path):
        is_lps = nifti_intent(content) != _RAS_INTENT
        return DisplacementField(
            volume.grid, flip_vectors(vectors) if is_lps else vectors
        )


def _check_meaning(content: Content) -> None:
    """Refuses fields of which the header says that they mean something else.

    Raises:
        InputError: If the vectors are not in mm, no real numbers, no displacements, or
            in a frame that is not LPS.
    """
    if content.kind in _HEADERS:
        _check_nifti(_nifti_header(content))
    if content.kind is NRRD:
        _check_nrrd(content.head.decode("latin-1"))


def _nifti_header(content: Content) -> nibabel.Nifti1Header:
    kind = _HEADERS[content.kind]
    block = content.head[: kind.template_dtype.itemsize]
    if len(block) < kind.template_dtype.itemsize:
        raise InputError(expected=content.kind.name, got="a header that is cut short")
    return kind(block, check=False)


def nifti_intent(content: Content) -> int:
    """The meaning that a NIfTI header states as a number; 0 for other files."""
    if content.kind not in _HEADERS:
        return 0
    return int(_nifti_header(content)["intent_code"])


def _check_nifti(header: nibabel.Nifti1Header) -> None:
    data_type, intent = int(header["datatype"]), int(header["intent_code"])
    if data_type in _COLORS_OR_COMPLEX:
        raise InputError(
            expected=_EXPECTED, got=f"colors or complex numbers (datatype {data_type})"
        )
    if intent in _FSL_INTENTS:
        raise InputError(expected=_EXPECTED, got=_FSL_INTENTS[intent], advice=_FROM_FSL)
    sizes = header["dim"][1 : 1 + max(0, int(header["dim"][0]))].tolist()
    if len(sizes) == 4 and sizes[3] == 3:
        raise InputError(
            expected=_EXPECTED,
            got=f"3 volumes, {' x '.join(map(str, sizes))}, as FSL stores fields",
            advice=_FROM_FSL,
        )
    name, description = (
        header[each].tobytes().rstrip(b"\0") for each in ("intent_name", "descrip")
    )
    if name == b"NREG_TRANS":
        raise InputError(
            expected=_EXPECTED,
            got="a transform of NiftyReg",
            advice=f"{_SAVE_AS_ITK}: reg_transform -disp FILE X.nii.gz gives "
            "displacements in RAS; store them with the NIfTI intent 1006",
        )
    if name == b"Mapping" or description.startswith(b"Deformation"):
        raise InputError(
            expected=_EXPECTED,
            got="a deformation of SPM, which holds positions",
            advice=f"{_SAVE_AS_ITK}: subtract the position of every voxel, and store "
            "the differences with the NIfTI intent 1006",
        )
    unit = int(header["xyzt_units"]) & _UNIT_BITS
    if unit not in _ACCEPTED_UNITS:
        raise _other_unit(f"the unit {unit} of NIfTI (1 is meters, 3 micrometers)")


def _check_nrrd(head: str) -> None:
    fields = dict(re.findall(r"(?m)^(space|space units): *(.*?)\s*$", head))
    space = fields.get("space", "").lower()
    if space not in ("", "left-posterior-superior", "lps"):
        raise InputError(
            expected="vectors in the space left-posterior-superior, as ITK writes them",
            got=space,
            advice=f"{_SAVE_AS_ITK}, with vectors in LPS",
        )
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", "")))
    if units - {"", "mm"}:
        raise _other_unit(", ".join(sorted(units)))


def _other_unit(got: str) -> InputError:
    return InputError(
        expected="a displacement field in mm",
        got=got,
        advice="whether its vectors are in that unit as well is not stated: save the "
        "field with its grid and vectors in mm",
    )
