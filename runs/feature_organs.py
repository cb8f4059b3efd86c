"""The organs for which `runs/features.py` trains networks of features."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voltween.cohorts import Case, cases_of_split, read_manifest, read_structures
from voltween.models import Model, load_model
from voltween.spatial import Grid
from voltween.training import Augmentation


@dataclass(frozen=True, eq=False)
class Organ:
    """What is special about the features of an organ."""

    folder: str
    """Folder of the scans within the data."""
    prepared_by: str
    """Model that registers the scans of which the template is made."""
    placed_by: str
    """Model that registers scans to the template, in training as in use."""
    grid: Grid
    """Grid of the network, in the template's world."""
    augmentation: Augmentation
    purpose: str
    data: str
    license: str
    placements: int = 1
    """How often every scan is placed: as it is, and in random intensities, so that the
    network learns from the errors that are made where contrasts differ."""
    is_symmetric: bool = False
    """Whether the mirror image of a scan is one, too."""
    remapped: float = 0.2
    """Share of the images in a random curve of intensities."""
    shifted: float = 0.0
    """Share of these in which every structure is brighter or darker at random."""
    stripped: float = 0.0
    """Share of the images that show nothing but the structures."""

    def model(self) -> Model:
        """The model that registers the scans of which the template is made."""
        return load_model(self.prepared_by)

    def cases(self, data: Path, split: str | None = None) -> tuple[Case, ...]:
        """The cases of a split, or all."""
        cases = read_manifest(data / self.folder / "cases.csv")
        return tuple(cases if split is None else cases_of_split(cases, split))

    def structures(self, data: Path) -> dict[int, str]:
        """The names of the structures; none where there is no table of them."""
        table = data / self.folder / "structures.csv"
        return read_structures(table) if table.exists() else {}


def _around(
    center_mm: tuple[float, float, float],
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
) -> Grid:
    return Grid.centered(
        shape,
        center_mm=np.array(center_mm),
        spacing_mm=spacing_mm,
        directions=np.eye(3),
    )


_BRAIN_GRID = _around((0.0, -5.0, -4.0), (72, 96, 80), (2.0, 2.0, 2.0))
_IXI = (
    "IXI, Hammersmith Hospital subset, 2 mm, segmented by DLMUSE",
    "images CC BY-SA 3.0, labels SBIA license",
)

ORGANS = {
    "brain": Organ(
        "brain_ixi",
        "brain",
        "brain",
        _BRAIN_GRID,
        Augmentation(
            displacement=0.02,
            rotation_degrees=3.0,
            scaling=0.03,
            translation=0.01,
            gamma=0.3,
            bias=0.3,
            noise=0.04,
        ),
        "T1 MR of whole heads or skull-stripped brains",
        *_IXI,
        is_symmetric=True,
    ),
    "brain-any": Organ(
        "brain_ixi",
        "brain",
        "brain-any",
        _BRAIN_GRID,
        Augmentation(
            displacement=0.06,
            rotation_degrees=5.0,
            scaling=0.03,
            translation=0.015,
            gamma=0.3,
            bias=0.3,
            noise=0.04,
        ),
        "MR of whole heads or skull-stripped brains in any contrast",
        *_IXI,
        is_symmetric=True,
        placements=8,
        remapped=0.8,
        shifted=0.3,
        stripped=0.3,
    ),
    "hippocampus": Organ(
        "hippocampus",
        "hippocampus",
        "hippocampus",
        _around((0.0, 0.0, 0.0), (48, 64, 48), (1.0, 1.0, 1.0)),
        Augmentation(
            displacement=0.03,
            rotation_degrees=5.0,
            scaling=0.04,
            translation=0.02,
            gamma=0.3,
            bias=0.2,
            noise=0.04,
        ),
        "T1 MR cropped around one hippocampus",
        "Medical Segmentation Decathlon Task04 (Vanderbilt)",
        "CC BY-SA 4.0",
    ),
}


def scan_files(out: Path, split: str) -> Iterator[Path]:
    """The prepared scans of a split, in alphabetical order."""
    yield from sorted(out.glob(f"case_{split}_*.npz"))
