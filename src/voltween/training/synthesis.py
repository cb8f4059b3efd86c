"""Settings of pairs that are synthesized from label maps, after SynthMorph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voltween.errors import InputError, check_range

Unlabeled = Literal["shapes", "dark"]

_MOST_VOXELS = 1000.0  # of a blur, far above values of use
_MOST_MM = 1e6
_FINEST = 4


@dataclass(frozen=True)
class Synthesis:
    """Training on scans synthesized from label maps, in contrasts of any kind.

    Both sides of a pair show a label map of their own (or the same one), in a pose and
    shape of their own, with a random intensity for every tissue. The overlap of the
    structures is what the network learns; `augmentation` gives the ranges of pose,
    shape, gamma, bias field and noise.

    Raises:
        InputError: If a number is out of range.

    References:
        Hoffmann et al. 2022, SynthMorph, doi:10.1109/TMI.2021.3116879; Billot et al.
        2023, SynthSeg, doi:10.1016/j.media.2023.102789.
    """

    share: float = 0.0
    """Share of the pairs that are synthesized; the others are pairs of scans. Cases
    without a scan appear in synthesized pairs alone. 1 needs label maps only."""
    tissues: Path | None = None
    """CSV with a row per label and the columns label, tissue_class (labels of one class
    are equally bright) and evaluation_label (the structure whose overlap counts; 0:
    none); optionally cohort, if cohorts of the manifest number their labels
    differently. If not given, every label is a tissue and a structure of its own."""
    unlabeled: Unlabeled = "shapes"
    """Look of voxels without a label, of cases without a scan: random shapes, or dark
    like air, for maps of everything that a scan shows. Where a case has a scan, they
    show the scan's tissues in random intensities."""
    scans: float = 0.3
    """Share of the sides that show the scan itself, if the case has one, through a
    random curve of intensities."""
    stripped: float = 0.5
    """Share of the sides on which everything outside the structures is dropped, as by
    skull stripping."""
    blur_voxels: float = 1.0
    """Largest standard deviation of a Gaussian blur, drawn per axis, in voxels of the
    network's grid."""
    slice_mm: float = 8.0
    """Largest thickness of slices; a third of the sides have thick slices along one
    axis."""
    subdivision: int = 2
    """Voxels per voxel of the network's grid and axis in which label maps are kept, so
    that voxels at borders hold several tissues. 1 is faster."""

    teacher: str | None = None
    """Shipped or own model, or model file, of the same grid, that knows the contrast of
    the scans. Its flow between the two scans, which it sees as they are, is what the
    network learns from their synthesized sides, with the weight `end_point_error`;
    label maps without a scan have no such flow. If not given, networks learn from the
    overlap of structures alone."""

    def __post_init__(self) -> None:
        for name in ("share", "scans", "stripped"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(about=name, expected="0 to 1", got=getattr(self, name))
        check_range("blur_voxels", self.blur_voxels, 0, _MOST_VOXELS)
        check_range("slice_mm", self.slice_mm, 0, _MOST_MM)
        check_range("subdivision", self.subdivision, 1, _FINEST)
