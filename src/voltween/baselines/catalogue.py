"""The other tools by the names that comparisons know them by."""

from voltween.baselines.ants import ants, ants_affine, ants_syn, ants_syncc
from voltween.baselines.elastix import elastix
from voltween.baselines.tools import Tool

TOOLS: dict[str, Tool] = {
    "ants": ants,
    "ants-affine": ants_affine,
    "ants-syn": ants_syn,
    "ants-syncc": ants_syncc,
    "elastix": elastix,
}
"""Every tool by its name; calling one maps (fixed, moving) to a Transform in mm."""
