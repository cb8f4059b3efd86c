"""The figures of a pair that the tables of a cohort show."""

from collections.abc import Mapping
from typing import Any

GRADES = ("failed", "doubtful", "good")
"""The grades of verdicts, worst first."""

Scores = dict[str, str | float | int | None]


def scores_of(figures: Mapping[str, Any]) -> Scores:
    """The row of a pair, from the content of its registration.json."""
    verdict, nothing = figures["verdict"], {None: None}
    dice = [*(figures.get("mean_dice") or nothing).values()]
    landmark_mm = [*(figures.get("landmark_error_mm") or nothing).values()]
    evidence, error_mm = verdict["evidence"], figures["round_trip_error_mm"] or {}
    wall = figures["seconds"]["wall"]
    return {
        "verdict": verdict["grade"],
        "reasons": "; ".join(verdict["reasons"]),
        "similarity": evidence["similarity"],
        "similarity_before": evidence["similarity_before"],
        "dice": dice[-1],
        "dice_before": dice[0],
        "landmark_mm": landmark_mm[-1],
        "landmark_mm_before": landmark_mm[0],
        "folding_percent": figures["folding_percent"],
        "sd_log_jacobian": evidence["sd_log_jacobian"],
        "inverse_error_95_mm": error_mm.get("percentile_95"),
        "model": figures["model"],
        "warnings": "; ".join(figures["warnings"]),
        "seconds": sum(wall.values()),
        "threads": figures["versions"]["threads"],
    }
