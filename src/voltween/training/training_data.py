"""The data of a training: its pairs, with target flows if a teacher finds some."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from voltween.cohorts import Case, cases_of_split
from voltween.errors import FailedTasksError, InputError
from voltween.models import ModelFingerprint
from voltween.training.batches import PairSampler
from voltween.training.case_store import CaseStore
from voltween.training.model_fingerprint import measure_training_scans
from voltween.training.recipe import Recipe, TrainConfig
from voltween.training.samples import Sample
from voltween.training.targets import TargetFlows, target_pairs
from voltween.training.teachers import teacher_named
from voltween.training.tissues import read_tissues
from voltween.workers import Engine, Runner, Shared, Status, Task, sharing

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Pairs to train on, and samples to validate on."""

    pairs: PairSampler
    val: Sequence[Sample]
    fingerprint: ModelFingerprint | None
    """Description of the training scans, for the model file; None in all processes but
    the first."""


def load_training_data(
    cases: Sequence[Case],
    recipe: Recipe,
    cache: Path,
    fabric: "Fabric",
    *,
    workers: int = 0,
) -> TrainingData:
    """Prepares the cases on their canonical grids, and target flows if needed.

    Several processes share the work; afterwards each has all of its results. Each has
    so many workers find target flows, or finds them itself.

    Raises:
        FailedTasksError: If the teacher fails on pairs; the other flows are kept.
        InputError: If a case cannot be used or lacks labels that training needs, or
            the teacher cannot be used.
    """
    config = recipe.training
    # Targets of synthesized pairs are found as the pairs are made.
    is_taught = config.objective.end_point_error > 0 and not config.synthesis.share
    # A teacher that cannot be used is reported before any scan is read.
    teacher = teacher_named(config.teacher, recipe.preprocessing) if is_taught else None
    train_cases = cases_of_split(cases, "train")
    _check_labels(train_cases, config)
    _check_scans(train_cases, config)
    tissues = read_tissues(config.synthesis.tissues)
    all_cases = slice(None)
    of_this_process = slice(fabric.global_rank, None, fabric.world_size)
    # Each of several processes first prepares its share; then every file is there.
    for part in (of_this_process, all_cases) if fabric.world_size > 1 else (all_cases,):
        store = CaseStore(recipe, cache, tissues)
        pairs = store.pairs(train_cases[part])
        validation = store.validation([c for c in cases if c.split == "val"][part])
        fabric.barrier()
    if teacher is not None:
        taught = target_pairs(len(pairs.plain), config.target_pairs, config.seed)
        targets = TargetFlows(pairs.plain, taught, teacher, cache / "targets")
        _find_flows(targets, fabric, workers)
        pairs = replace(pairs, targets=targets)
    return TrainingData(pairs, validation, _fingerprint(cases, recipe, fabric))


def _fingerprint(
    cases: Sequence[Case], recipe: Recipe, fabric: "Fabric"
) -> ModelFingerprint | None:
    """The fingerprint of the training scans, in the process that writes models.

    A model that learned from synthesized scans has none: any contrast is its own.
    """
    if fabric.global_rank != 0 or recipe.training.synthesis.share > 0:
        return None
    return measure_training_scans(
        cases,
        is_ct=recipe.preprocessing.hounsfield_window is not None,
        is_masked=recipe.training.masked_share > 0,
    )


def _check_labels(cases: Sequence[Case], config: TrainConfig) -> None:
    unlabeled = [case.name for case in cases if case.labels is None]
    if config.objective.has_overlap and unlabeled:
        raise InputError(
            about="overlap term",
            expected="labels of every training case",
            got=f"none for {', '.join(unlabeled)}",
            advice="give labels in the manifest, or train without the term",
        )


def _check_scans(cases: Sequence[Case], config: TrainConfig) -> None:
    bare = [case.name for case in cases if not case.has_scan]
    scans = len(cases) - len(bare)
    if config.synthesis.share == 0 and bare:
        raise InputError(
            about="synthesis.share",
            expected="above 0, as some cases have a label map and no scan",
            got=f"0, and no scan of {', '.join(bare)}",
        )
    if config.synthesis.share < 1 and scans < 2:
        raise InputError(
            about="synthesis.share",
            expected="1, as there are no pairs of scans",
            got=f"{config.synthesis.share:g}, and {scans} scan(s)",
        )


def _find_flows(targets: TargetFlows, fabric: "Fabric", workers: int) -> None:
    """Has all processes together find the target flows.

    Raises:
        FailedTasksError: If the teacher fails on pairs; the other flows are kept.
    """
    numbers = range(fabric.global_rank, len(targets.pairs), fabric.world_size)
    logger.info("target flows by %s (%s)", targets.teacher.name, targets.teacher.facts)
    status = Status(on_change=lambda status: logger.info("%s", status.line()))
    runner = Runner(Engine(workers=max(1, workers)), status)
    with sharing(targets, targets.folder, runner.engine) as shared:
        tasks = [Task(targets.pair_name(n), (shared, n)) for n in numbers]
        runner.run(_find_flow, tasks)
    if faults := status.failures:
        raise FailedTasksError(
            about="target flows",
            expected=f"flows of {len(numbers)} pairs",
            got=f"{len(faults)} that {targets.teacher.name} does not find",
            advice="; ".join(faults.values()),
        )
    fabric.barrier()


def _find_flow(targets: Shared[TargetFlows], number: int) -> None:
    targets.value.flow(number)
