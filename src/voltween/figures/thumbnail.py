"""Thumbnails of registered pairs, for pages with a thousand of them."""

from pathlib import Path

import numpy as np

from voltween.figures.painter import as_picture, fuse
from voltween.figures.views import square_views
from voltween.figures.windowing import Window
from voltween.spatial import Affine, Image, Transform
from voltween.storage import whole_file

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
    from PIL import WebPImagePlugin  # noqa: F401  # else all 40 plugins are imported

    views = square_views(fixed.grid, THUMBNAIL_SIDE)
    windows = Window.of(fixed), Window.of(moving)
    panels = [
        fuse(
            view.gray(fixed, window=windows[0]),
            view.gray(moving, fixed_to_moving, window=windows[1]),
        )
        for view in views
    ]
    picture = as_picture(np.concatenate(panels, axis=1))
    with whole_file(path) as partial:
        picture.save(partial, format="webp", quality=_QUALITY)
