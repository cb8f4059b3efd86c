"""What is measured of a registered pair: the rows of pairs.csv and its companions."""

import math
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "failed", "unavailable"]


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """One pair registered by one method. NaN is what could not be measured.

    Overlap and surface distances are means over the structures that both scans have.
    Everything is measured on the fixed scan's own grid, for every method alike.
    """

    method: str
    fixed: str
    moving: str
    status: Status = "ok"
    """Failed: this pair was not registered. Unavailable: the method cannot run here."""
    dice: float = math.nan
    iou: float = math.nan
    hd95_mm: float = math.nan
    surface_distance_mm: float = math.nan
    landmark_mm: float = math.nan
    """Mean distance of mapped fixed landmarks to the moving ones (TRE)."""
    landmark_voxels: float = math.nan
    """The same in voxels of the moving scan."""
    folding_percent: float = math.nan
    sd_log_jacobian: float = math.nan
    folding_percent_learn2reg: float = math.nan
    sd_log_jacobian_learn2reg: float = math.nan
    inverse_consistency_mm: float = math.nan
    seconds: float = math.nan
    """To register, without reading the scans and without loading model or tool."""
    processor_seconds: float = math.nan
    """The same, summed over threads."""
    loading_seconds: float = math.nan
    """To load the model or the tool, once for all pairs."""
    peak_memory_mb: float = math.nan
    """Most memory the process held while it registered."""
    structures: int = 0
    """How many structures the means are over."""
    note: str = ""
    """Why something is missing."""


@dataclass(frozen=True, kw_only=True)
class StructureScore:
    """One structure (label) of one registered pair."""

    method: str
    fixed: str
    moving: str
    label: int
    dice: float = math.nan
    iou: float = math.nan
    hd95_mm: float = math.nan
    surface_distance_mm: float = math.nan
    note: str = ""
    """Why something is missing, such as "not in moving"."""


@dataclass(frozen=True, kw_only=True)
class StageScore:
    """One pair as it stood after one stage of a cascade; means as in `PairScore`."""

    method: str
    fixed: str
    moving: str
    stage: str
    dice: float
    iou: float
    folding_percent: float


@dataclass(frozen=True)
class Scores:
    """All that was measured, in the order it was asked for."""

    pairs: tuple[PairScore, ...]
    structures: tuple[StructureScore, ...]
    stages: tuple[StageScore, ...]
    """Of methods that have stages alone."""
