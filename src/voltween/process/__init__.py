"""The running process: clocks, memory, packages, signals, the lines of C libraries."""

from voltween.process.compiled import INSTRUCTIONS as INSTRUCTIONS
from voltween.process.compiled import load_compiled as load_compiled
from voltween.process.library_lines import dropped_on_failure as dropped_on_failure
from voltween.process.running import Used as Used
from voltween.process.running import begin_peak as begin_peak
from voltween.process.running import free_bytes as free_bytes
from voltween.process.running import held_bytes as held_bytes
from voltween.process.running import installed_version as installed_version
from voltween.process.running import machine_bytes as machine_bytes
from voltween.process.running import measuring as measuring
from voltween.process.running import missing_package as missing_package
from voltween.process.running import peak_bytes as peak_bytes
from voltween.process.running import require as require
from voltween.process.running import usable_cores as usable_cores
from voltween.process.stopping import Deferral as Deferral
from voltween.process.stopping import deferring_signals as deferring_signals
from voltween.process.stopping import starting_deaf_processes as starting_deaf_processes
from voltween.process.stopping import stopping_at_signals as stopping_at_signals
