"""Plain pictures of a registered pair, for a page that is read without JavaScript."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image as Picture

from voltween.figures import (
    FOLD_COLOR,
    LARGEST_LOG_JACOBIAN,
    PLANES,
    Colors,
    Section,
    checker,
    gray,
    paint_panel,
    rgb,
)
from voltween.reports.deformation import folds_on
from voltween.reports.frames import Frames, Levels
from voltween.reports.sprites import jpeg
from voltween.spatial import Affine

_PIXELS = 180  # of the longest side of a section
_GAP = 4
_OPACITY = 0.75  # of the largest volume change
_BLUE, _RED = np.array([0.16, 0.39, 0.86]), np.array([0.84, 0.16, 0.20])


class Panel(NamedTuple):
    """Three sections of a volume in one picture."""

    name: str
    description: str
    """The content of the picture in words, for those who do not see it."""
    uri: str


def panels(frames: Frames) -> list[Panel]:
    """The fixed scan, the moving scan after every stage, and how they agree."""
    return [
        Panel(name, f"{name}: axial, coronal and sagittal section", _paint(sections))
        for name, sections in _columns(frames)
    ]


def _columns(frames: Frames) -> Iterator[tuple[str, list[Colors]]]:
    """The name and the three middle sections of every picture."""
    fixed = _sections(frames.fixed)
    yield "fixed", [*map(gray, fixed)]
    moved = fixed
    for name, volume in frames.moved.items():
        moved = _sections(volume)
        heading = "moving, before" if name == "before" else f"after {name}"
        yield heading, [*map(gray, moved)]
    pairs = zip(fixed, moved, strict=True)
    yield "fixed and moved", [checker(one, other) for one, other in pairs]
    yield "volume change", _volume_change(fixed, frames)


def _sections(volume: Levels) -> list[Section]:
    """The middle sections of a volume as displayed, 0 to 1."""
    return [plane.section(volume) / 255 for plane in PLANES]


def _volume_change(fixed: list[Section], frames: Frames) -> list[Colors]:
    """Blue where tissue is smaller in the moving scan, red where it is larger."""
    folds = folds_on(frames.pair.jacobian, frames.grid)
    result = []
    for plane, section in zip(PLANES, fixed, strict=True):
        slab = plane.slab(frames.grid, 1)
        change = Affine.identity().resample(frames.pair.jacobian, onto=slab)
        colors = _blend(section, plane.section(change.data))
        if folds is not None:
            colors[plane.section(folds)] = rgb(FOLD_COLOR)
        result.append(colors)
    return result


def _blend(section: Section, determinants: Float[np.ndarray, "_ _"]) -> Colors:
    share = np.log2(determinants.clip(2.0**-6)) / LARGEST_LOG_JACOBIAN
    share = share.clip(-1, 1)[..., None]
    opacity = np.abs(share) * _OPACITY
    return (1 - opacity) * gray(section) + opacity * np.where(share > 0, _RED, _BLUE)


def _paint(sections: list[Colors]) -> str:
    """The sections one below the other, with their sides named."""
    scale = _PIXELS / max(max(section.shape[:2]) for section in sections)
    pictures = [
        paint_panel(section, plane, scale)
        for plane, section in zip(PLANES, sections, strict=True)
    ]
    width = max(picture.width for picture in pictures)
    height = sum(picture.height + _GAP for picture in pictures) - _GAP
    result = Picture.new("RGB", (width, height))
    top = 0
    for picture in pictures:
        result.paste(picture, ((width - picture.width) // 2, top))
        top += picture.height + _GAP
    return jpeg(result)
