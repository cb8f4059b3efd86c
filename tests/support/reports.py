"""A small registered pair whose sides, stages and folds are known, and its report."""

import base64
import io

import numpy as np
from PIL import Image as Picture

from support.scans import smooth_field
from voltween.reports import Facts, Figure, RegisteredPair, ReportOptions, report_page
from voltween.spatial import Affine, Grid, Image, LabelMap, jacobian_determinant

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202eevil"
# The first axis runs to the left, so that the order of voxels is not that of the page.
GRID = Grid(
    (40, 36, 30),
    np.array([[-2.0, 0, 0, 39], [0, 2, 0, -35], [0, 0, 2, -29], [0, 0, 0, 1]]),
)


def shift(mm):
    """The map x -> x + mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return Affine(matrix)


def blob(center_mm, radius_mm=9.0, grid=GRID):
    """A bright ball on a dark scan."""
    distance = np.linalg.norm(grid.voxel_centers_mm() - center_mm, axis=-1)
    return Image(200.0 * (distance < radius_mm) + 20.0 * (distance < 30), grid)


def registered_pair(*, has_labels=True, fixed_mm=(24.0, 0.0, 0.0)):
    """A ball at the right of the fixed scan, and 8 mm further to the front in moving.

    Before, the two do not meet; the last stage moves one onto the other, and bends.
    """
    fixed, moving = blob(fixed_mm), blob(np.add(fixed_mm, (0, 8, 0)))
    bent = shift((0, 8, 0)) @ smooth_field(GRID)
    tweening = {
        "before": Affine.identity(),
        "affine": shift((0, 4, 0)),
        "dense 1": bent,
    }
    labels = [
        LabelMap((scan.data > 100).astype(np.uint8), GRID) for scan in (fixed, moving)
    ]
    return RegisteredPair(
        fixed=fixed,
        moving=moving,
        tweening=tweening,
        moved=bent.resample(moving, onto=GRID),
        jacobian=jacobian_determinant(bent, onto=GRID),
        fixed_labels=labels[0] if has_labels else None,
        moving_labels=labels[1] if has_labels else None,
    )


FACTS = Facts(
    grade="doubtful",
    reasons=("the deformation is rough",),
    figures=(
        Figure("local similarity", "0.30 before, 0.60 after", "above 0.5", True),
        Figure("folding", "2 %", "at most 0.5 %", False),
    ),
    structures={1: "ball"},
    record={
        "command": "voltween register fixed.nii.gz moving.nii.gz --out result",
        "inputs": {"fixed": [{"path": HOSTILE, "sha256": "0" * 64}]},
        "warnings": [HOSTILE],
        "versions": {"voltween": "0.1.0"},
    },
)


def write_page(path, pair=None, facts=FACTS, options=None):
    """Writes the report of a pair; returns the path."""
    pair = registered_pair() if pair is None else pair
    path.write_text(report_page(pair, facts, options or ReportOptions()))
    return path


def read_sprite(picture):
    """The volume of a sprite, as the script of the viewer reads it."""
    content = base64.b64decode(picture.uri.partition(",")[2])
    pixels = np.asarray(Picture.open(io.BytesIO(content)).convert("RGB"))
    i, j, k = picture.shape
    slices = []
    for number in range(k):
        row, column = divmod(number, picture.columns)
        tile = pixels[row * j : (row + 1) * j, column * i : (column + 1) * i]
        slices.append(tile.swapaxes(0, 1)[..., : picture.channels])
    return np.squeeze(np.stack(slices, axis=2))
