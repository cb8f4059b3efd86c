"""The grid of an image that an option names."""

from pathlib import Path

from voltween import io
from voltween.spatial import Grid


def read_reference_grid(path: Path) -> Grid:
    """The grid of a scan, or of all volumes of a 4D image.

    Raises:
        InputError: If it cannot be read.
    """
    return io.read(path, volume=0 if io.is_series(path) else None).grid
