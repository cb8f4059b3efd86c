"""The demo: registers two simulated individuals made from a template, no download.

Scans are in RAS+ mm. The true transform, fixed to moving world mm, is known.
"""

from voltween.demo.demo import TISSUES as TISSUES
from voltween.demo.demo import DemoResult as DemoResult
from voltween.demo.demo import make_individuals as make_individuals
from voltween.demo.demo import run_demo as run_demo
