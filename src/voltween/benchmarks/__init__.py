"""Speed and memory, compared with the same operations in plain PyTorch (`naive`).

Ratios of times come from one run on one machine, in which the contenders take turns.
Memory is the peak of a process, in bytes.
"""

from voltween.benchmarks.performance_page import write_report as write_report
from voltween.benchmarks.suite import Part as Part
from voltween.benchmarks.suite import Settings as Settings
from voltween.benchmarks.suite import run_suite as run_suite
