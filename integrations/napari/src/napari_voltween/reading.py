"""Opens scans with their places in RAS+ mm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import voltween as vt
from napari_voltween.layers import layer_of
from voltween.spatial import looks_like_labels


def reader_of(path: Any) -> Callable[[Any], list[tuple[Any, ...]]] | None:
    """The function that reads these paths; None for a stack of several files."""
    return None if isinstance(path, list) and len(path) != 1 else _read


def _read(path: Any) -> list[tuple[Any, ...]]:
    """Reads one scan as a layer; whole numbers in pieces become labels."""
    file = Path(path[0] if isinstance(path, list) else path)
    image = vt.read(file)
    name = file.name.split(".")[0]
    if looks_like_labels(image.data):
        return [layer_of(vt.read_labels(file), name)]
    return [layer_of(image, name)]
