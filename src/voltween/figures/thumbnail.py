"""Thumbnails of registered pairs, for pages with a thousand of them."""

from pathlib import Path

import numpy as np
from PIL import Image as Picture

from voltween.figures.mosaic import Colors, sections
from voltween.figures.planes import Section, display_grid
from voltween.files import whole_file
from voltween.spatial import Affine, Image, Transform

THUMBNAIL_SIDE = 96
"""Height in pixels, and a third of the width."""
_QUALITY = 60  # of WebP: 3 to 6 kB
_IDENTITY = Affine.identity()


def write_thumbnail(
    fixed: Image, moving: Image, path: Path, *, fixed_to_moving: Transform = _IDENTITY
) -> None:
    """Writes a WebP of three planes, the moved scan in magenta over the fixed in green.

    Where the scans agree, it is gray. The planes go through the center of the fixed
    scan: axial, coronal and sagittal, with R, A and S to the right or up.

    Args:
        fixed: The fixed scan.
        moving: The moving scan, or the moved one if no transform is given.
        path: The picture.
        fixed_to_moving: Maps fixed to moving world mm.

    Raises:
        OutputError: If the file cannot be written.
    """
    grid = display_grid(fixed.grid, THUMBNAIL_SIDE)
    columns = zip(
        sections(fixed, _IDENTITY, grid),
        sections(moving, fixed_to_moving, grid),
        strict=True,
    )
    panels = [_centered(_fused(*column)) for column in columns]
    pixels = np.rint(np.concatenate(panels, axis=1) * 255).astype(np.uint8)
    with whole_file(path) as partial:
        Picture.fromarray(pixels).save(partial, format="webp", quality=_QUALITY)


def _fused(fixed: Section, moved: Section) -> Colors:
    return np.stack([moved, fixed, moved], axis=-1)


def _centered(colors: Colors) -> Colors:
    """The section in the middle of a black square."""
    square = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3))
    height, width, _ = colors.shape
    top, left = (THUMBNAIL_SIDE - height) // 2, (THUMBNAIL_SIDE - width) // 2
    square[top : top + height, left : left + width] = colors
    return square
