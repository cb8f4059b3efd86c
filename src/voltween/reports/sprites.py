"""Volumes as one picture each: all axial slices side by side, in JPEG or PNG.

A browser decodes such a picture in milliseconds. Slice k lies in column k % columns and
row k // columns, with axis 0 to the right and axis 1 down.
"""

import io
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Picture

from voltween.figures import png
from voltween.reports.pages import data_uri

_QUALITY = 85  # of 95


@dataclass(frozen=True)
class Sprite:
    """A volume of bytes as a picture."""

    uri: str
    """The picture, as an address that holds it."""
    shape: tuple[int, int, int]
    columns: int
    channels: int
    """1, or 3 in the colors of the picture."""

    def as_dict(self) -> dict[str, Any]:
        """The sprite as the script of the viewer reads it."""
        return asdict(self)


def sprite(volume: UInt8[np.ndarray, "i j k"]) -> Sprite:
    """Returns the picture of a volume of gray levels, with a few levels of error."""
    pixels, columns = _tiles(volume)
    picture = jpeg(Picture.fromarray(pixels[..., 0]))
    return _sprite(picture, volume, columns)


def exact_sprite(
    volume: UInt8[np.ndarray, "i j k"] | UInt8[np.ndarray, "i j k 3"],
) -> Sprite:
    """Returns the picture of a volume of bytes, which are kept."""
    pixels, columns = _tiles(volume)
    content = png(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return _sprite(data_uri(content, "image/png"), volume, columns)


def jpeg(picture: Picture.Image) -> str:
    """Returns a picture as an address that holds it as JPEG.

    WebP of the same error is a third smaller and takes thirteen times as long.
    """
    content = io.BytesIO()
    picture.save(content, format="jpeg", quality=_QUALITY)
    return data_uri(content.getvalue(), "image/jpeg")


def _sprite(picture: str, volume: np.ndarray, columns: int) -> Sprite:
    i, j, k, *channels = volume.shape
    return Sprite(picture, (i, j, k), columns, channels[0] if channels else 1)


def _tiles(volume: np.ndarray) -> tuple[UInt8[np.ndarray, "h w c"], int]:
    """The slices side by side, and the number of columns: nearly a square."""
    i, j, k = volume.shape[:3]
    columns = max(1, min(k, round(math.sqrt(k * j / i))))
    rows = -(-k // columns)
    slices = np.moveaxis(volume, 2, 0).swapaxes(1, 2)
    padding = ((0, rows * columns - k), *((0, 0),) * (volume.ndim - 1))
    tiles = np.pad(slices, padding).reshape(rows, columns, j, i, -1)
    return tiles.swapaxes(1, 2).reshape(rows * j, columns * i, -1), columns
