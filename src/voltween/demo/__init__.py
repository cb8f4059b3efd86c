"""The main job on two individuals made from a template; nothing is downloaded."""

from voltween.demo.demo import TISSUES as TISSUES
from voltween.demo.demo import DemoResult as DemoResult
from voltween.demo.demo import run_demo as run_demo
