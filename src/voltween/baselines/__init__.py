"""Other registration tools, each called with (fixed, moving) for a Transform.

Scans are in RAS+ mm, and the transform maps fixed to moving world mm. Every tool runs
in a separate process, which ends when its time limit is over.
"""

from voltween.baselines.catalogue import TOOLS as TOOLS
from voltween.baselines.elastix import PUBLISHED_ITERATIONS as PUBLISHED_ITERATIONS
from voltween.baselines.elastix import elastix_with as elastix_with
from voltween.baselines.tools import TIME_LIMIT_MINUTES as TIME_LIMIT_MINUTES
from voltween.baselines.tools import Tool as Tool
