"""Scores of registered pairs: the rows of pairs.csv, structures.csv and stages.csv."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from voltween.registration import Grade

Status = Literal["ok", "failed", "unavailable", "missing"]

NOT_MEASURED = "not measured yet: repeat the command to continue"
"""The note of a missing pair."""


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """One pair registered by one method; NaN for measures that could not be taken.

    Overlap and surface distances are means over the structures that both scans have.
    All methods are measured on the fixed scan's grid.
    """

    method: str
    fixed: str
    moving: str
    status: Status = "ok"
    """failed: the pair was not registered; unavailable: the method cannot run here;
    missing: an interrupt came first."""
    verdict: Grade | Literal[""] = ""
    """Whether the answer can be trusted, by the images alone (see docs/verdict.md)."""
    similarity: float = math.nan
    """Mean squared local correlation of the scans, 0 to 1, by which it is judged."""
    dice: float = math.nan
    iou: float = math.nan
    iou_union: float = math.nan
    """IoU of the union of all labels, such as the brain of a map of its regions."""
    hd95_mm: float = math.nan
    surface_distance_mm: float = math.nan
    landmark_mm: float = math.nan
    """Mean distance of mapped fixed landmarks to the moving ones (TRE), in the moving
    scan."""
    landmark_fixed_mm: float = math.nan
    """Mean distance of moving landmarks, mapped by the inverse, to the fixed ones, in
    the fixed scan: the paper's distance."""
    landmark_voxels: float = math.nan
    """`landmark_fixed_mm` in voxels: those of `EvaluationProtocol.landmark_voxel_mm`,
    else those of the fixed scan."""
    folding_percent: float = math.nan
    sd_log_jacobian: float = math.nan
    folding_percent_learn2reg: float = math.nan
    sd_log_jacobian_learn2reg: float = math.nan
    inverse_consistency_mm: float = math.nan
    inside_percent: float = math.nan
    """Percentage of the fixed scan's voxels that are mapped inside the moving scan."""
    seconds: float = math.nan
    """Time to register, without reading the scans and loading the model or tool."""
    processor_seconds: float = math.nan
    """Processor time to register, summed over threads."""
    threads: int = 0
    """Threads of the libraries during the registration; 0 if the record is older than
    this column."""
    loading_seconds: float = math.nan
    """Time to load the model or tool, once for all pairs."""
    peak_memory_mb: float = math.nan
    """Peak memory of the process during the registration."""
    reasons: str = ""
    """Reasons of the verdict, if it is not good."""
    structures: int = 0
    """Number of structures in the means."""
    note: str = ""
    """Reason why a measure is missing."""


@dataclass(frozen=True, kw_only=True)
class StructureScore:
    """One structure (label) of one registered pair."""

    method: str
    fixed: str
    moving: str
    label: int
    structure: str = ""
    """The name of the structure, if a label file states it."""
    dice: float = math.nan
    iou: float = math.nan
    hd95_mm: float = math.nan
    surface_distance_mm: float = math.nan
    note: str = ""
    """Reason why a measure is missing, such as "not in moving"."""


@dataclass(frozen=True, kw_only=True)
class StageScore:
    """One pair after one stage of a cascade; means as in `PairScore`."""

    method: str
    fixed: str
    moving: str
    stage: str
    dice: float
    iou: float
    iou_union: float = math.nan
    landmark_mm: float = math.nan
    landmark_fixed_mm: float = math.nan
    landmark_voxels: float = math.nan
    folding_percent: float


@dataclass(frozen=True)
class Scores:
    """All scores of a comparison, in the order of methods and pairs."""

    pairs: tuple[PairScore, ...]
    structures: tuple[StructureScore, ...]
    stages: tuple[StageScore, ...]
    """Only of methods that have stages."""


def mean_of_measured(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    measured = [value for value in values if not math.isnan(value)]
    return float(np.mean(measured)) if measured else math.nan
