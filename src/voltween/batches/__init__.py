"""Registrations of files, one pair or all pairs of a cohort, and their results.

A `PairJob` names the files of two scans and the options; `register_files` does one.
Transforms map fixed to moving world mm, as everywhere. The records in the folder of a
cohort are the only state of a `CohortRun`.

The names are those of `__init__.pyi`. A module is imported when one of its names is
first used: one pair needs nothing of what cohorts need, which is 80 modules.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
