"""Other registration tools, each a function (fixed, moving) -> Transform.

Scans and transforms are in RAS+ mm. Every tool runs in a process of its own.
"""

from voltween.baselines.catalogue import TOOLS as TOOLS
from voltween.baselines.tools import Tool as Tool
