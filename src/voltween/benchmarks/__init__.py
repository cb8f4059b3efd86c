"""How fast the package is, against the same operations in plain PyTorch (`naive`).

Times are ratios measured in one run on one machine; memory is the peak of a process.
"""

from voltween.benchmarks.performance_page import write_report as write_report
from voltween.benchmarks.suite import Settings as Settings
from voltween.benchmarks.suite import run_suite as run_suite
