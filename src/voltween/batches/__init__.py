"""Registrations of files, one pair or all pairs of a cohort, and their results.

A `PairJob` names the files of two scans and the options; `register_files` does one.
Transforms map fixed to moving world mm, as everywhere.
"""

from voltween.batches.companions import Companions as Companions
from voltween.batches.options import RefinementOptions as RefinementOptions
from voltween.batches.options import RegistrationOptions as RegistrationOptions
from voltween.batches.pair_job import PairJob as PairJob
from voltween.batches.pair_job import register_files as register_files
