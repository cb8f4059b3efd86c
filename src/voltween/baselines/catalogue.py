"""The other tools by the names that comparisons use."""

from voltween.baselines.ants import ants, ants_affine, ants_syn, ants_syncc
from voltween.baselines.convexadam import convexadam
from voltween.baselines.elastix import elastix
from voltween.baselines.greedy import greedy, greedy_nmi
from voltween.baselines.tools import Tool

TOOLS: dict[str, Tool] = {
    "ants": ants,
    "ants-affine": ants_affine,
    "ants-syn": ants_syn,
    "ants-syncc": ants_syncc,
    "elastix": elastix,
    "greedy": greedy,
    "greedy-nmi": greedy_nmi,
    "convexadam": convexadam,
}
"""Every tool by name; calling one with (fixed, moving) returns a Transform in mm."""
