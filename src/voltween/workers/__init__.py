"""Runs named tasks in this process, in local worker processes, or on a cluster.

A task writes its own result to disk. An engine carries names and errors alone, so that
a run can be repeated with any other engine, and does only what is missing. Engines need
the extra `cluster` (Dask), except for one worker, which is this process.
"""

from voltween.workers.engine import Engine as Engine
from voltween.workers.parts import Part as Part
from voltween.workers.runner import Runner as Runner
from voltween.workers.running import run_tasks as run_tasks
from voltween.workers.shared_values import Shared as Shared
from voltween.workers.shared_values import sharing as sharing
from voltween.workers.slurm_jobs import SLURM_LOGS as SLURM_LOGS
from voltween.workers.slurm_jobs import SlurmJob as SlurmJob
from voltween.workers.slurm_jobs import array_script as array_script
from voltween.workers.status import STATUS as STATUS
from voltween.workers.status import Status as Status
from voltween.workers.tasks import Outcome as Outcome
from voltween.workers.tasks import Task as Task
