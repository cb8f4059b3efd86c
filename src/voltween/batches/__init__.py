"""Registrations of files, one pair or all pairs of a cohort, and their results.

A `PairJob` names the files of two scans and the options; `register_files` does one.
Transforms map fixed to moving world mm, as everywhere. The records in the folder of a
cohort are the only state of a `CohortRun`.
"""

from voltween.batches.cohort import CohortChoice as CohortChoice
from voltween.batches.cohort import CohortRun as CohortRun
from voltween.batches.cohort import make_data_set as make_data_set
from voltween.batches.cohort import plan_cohort as plan_cohort
from voltween.batches.companions import Companions as Companions
from voltween.batches.index_page import write_pages as write_pages
from voltween.batches.memory import memory_limit as memory_limit
from voltween.batches.memory import memory_remark as memory_remark
from voltween.batches.options import RefinementOptions as RefinementOptions
from voltween.batches.options import RegistrationOptions as RegistrationOptions
from voltween.batches.pair_job import PairJob as PairJob
from voltween.batches.pair_job import register_files as register_files
from voltween.batches.tables import SUMMARY as SUMMARY
from voltween.batches.tables import PairRow as PairRow
from voltween.batches.work import Work as Work
