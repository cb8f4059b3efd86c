"""Voltween registers 3D medical images with Volume Tweening Networks.

Scans are read into scanner space (RAS+ mm), registered by a trained cascade of an
affine and several dense networks, and the result is a transform between the scans' own
worlds: `fixed_to_moving` carries points from fixed to moving and images from moving to
fixed.

    import voltween as vt
    result = vt.register(vt.read(f), vt.read(m), model=vt.load_model("brain"))
    vt.write(result.moved, "moved.nii.gz")
    vt.write(result.fixed_to_moving, "fixed_to_moving.h5")
"""

from voltween.checkpoint import Model, load_model
from voltween.errors import InputError
from voltween.guidance import Guidance
from voltween.io import read, read_labels, read_points, read_transform, write
from voltween.refinement import (
    ACCURATE,
    ACCURATE_ALONE,
    FAST,
    FAST_ALONE,
    Refinement,
)
from voltween.register import register
from voltween.registration import Registration
from voltween.space import Grid
from voltween.transform import Affine, Composite, DisplacementField, Transform
from voltween.volume import Image, LabelMap, Points

__all__ = [
    "ACCURATE",
    "ACCURATE_ALONE",
    "FAST",
    "FAST_ALONE",
    "Affine",
    "Composite",
    "DisplacementField",
    "Grid",
    "Guidance",
    "Image",
    "InputError",
    "LabelMap",
    "Model",
    "Points",
    "Refinement",
    "Registration",
    "Transform",
    "load_model",
    "read",
    "read_labels",
    "read_points",
    "read_transform",
    "register",
    "write",
]
