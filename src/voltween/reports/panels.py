"""Plain pictures of a registered pair, for a page that is read without JavaScript."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Picture
from PIL import ImageDraw

from voltween.figures import PLANES, name_sides
from voltween.reports.deformation import LARGEST_LOG_JACOBIAN, folds_on
from voltween.reports.frames import Frames, Levels
from voltween.reports.sprites import webp
from voltween.spatial import Affine

_PIXELS = 180  # of the longest side of a section
_GAP = 4
_SQUARES = 8  # of the checkerboard
_OPACITY = 0.75  # of the largest volume change
_BLUE, _RED = np.array([40, 100, 220]), np.array([215, 40, 50])
_YELLOW = np.array([255, 221, 0])

# Gray levels, or RGB; the sizes have no names, as they differ between the planes.
_Section = UInt8[np.ndarray, "..."]


class Panel(NamedTuple):
    """Three sections of a volume in one picture."""

    name: str
    description: str
    """What the picture shows, for those who do not see it."""
    uri: str


def panels(frames: Frames) -> list[Panel]:
    """The fixed scan, the moving scan after every stage, and how they agree."""
    return [
        Panel(name, f"{name}: axial, coronal and sagittal section", _paint(sections))
        for name, sections in _columns(frames)
    ]


def _columns(frames: Frames) -> Iterator[tuple[str, list[_Section]]]:
    """The name and the three middle sections of every picture."""
    fixed = _sections(frames.fixed)
    yield "fixed", fixed
    moved = fixed
    for name, volume in frames.moved.items():
        moved = _sections(volume)
        yield ("moving, before" if name == "before" else f"after {name}"), moved
    pairs = zip(fixed, moved, strict=True)
    yield "fixed and moved", [_checkerboard(one, other) for one, other in pairs]
    yield "volume change", _volume_change(fixed, frames)


def _sections(volume: Levels) -> list[_Section]:
    """The middle sections of a volume as displayed."""
    return [np.ascontiguousarray(plane.section(volume)) for plane in PLANES]


def _checkerboard(fixed: _Section, moved: _Section) -> _Section:
    size = max(2, max(fixed.shape) // _SQUARES)
    is_fixed = (np.indices(fixed.shape) // size).sum(axis=0) % 2 == 0
    return np.where(is_fixed, fixed, moved)


def _volume_change(fixed: list[_Section], frames: Frames) -> list[_Section]:
    """Blue where tissue is smaller in the moving scan, red where it is larger."""
    folds = folds_on(frames.pair.jacobian, frames.grid)
    result = []
    for plane, section in zip(PLANES, fixed, strict=True):
        slab = plane.slab(frames.grid, 1)
        change = Affine.identity().resample(frames.pair.jacobian, onto=slab)
        colors = _blend(section, plane.section(change.data))
        if folds is not None:
            colors[plane.section(folds)] = _YELLOW
        result.append(colors)
    return result


def _blend(levels: _Section, determinants: Float[np.ndarray, "_ _"]) -> _Section:
    share = np.log2(determinants.clip(2.0**-6)) / LARGEST_LOG_JACOBIAN
    share = share.clip(-1, 1)[..., None]
    opacity = np.abs(share) * _OPACITY
    end = np.where(share > 0, _RED, _BLUE)
    return np.rint((1 - opacity) * levels[..., None] + opacity * end).astype(np.uint8)


def _paint(sections: list[_Section]) -> str:
    """The sections one below the other, with their sides named."""
    scale = _PIXELS / max(max(section.shape[:2]) for section in sections)
    pictures = [_picture(section, scale) for section in sections]
    width = max(picture.width for picture in pictures)
    height = sum(picture.height + _GAP for picture in pictures) - _GAP
    result = Picture.new("RGB", (width, height))
    draw = ImageDraw.Draw(result)
    top = 0
    for plane, picture in zip(PLANES, pictures, strict=True):
        corner = (width - picture.width) // 2, top
        result.paste(picture, corner)
        name_sides(draw, plane, corner, (picture.height, picture.width))
        top += picture.height + _GAP
    return webp(result, quality=75, method=1)


def _picture(section: _Section, scale: float) -> Picture.Image:
    height, width = (max(1, round(n * scale)) for n in section.shape[:2])
    picture = Picture.fromarray(section)
    return picture.resize((width, height), Picture.Resampling.BICUBIC)
