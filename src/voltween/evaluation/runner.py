"""Measures methods on the pairs of a cohort; what is finished is not repeated."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from voltween.cohorts import Case, Pair, check_pairs
from voltween.errors import InputError, check_range
from voltween.evaluation.methods import Method
from voltween.evaluation.pair_work import (
    Comparison,
    EvaluationProtocol,
    Workplace,
    measure_pair,
    workplace,
)
from voltween.evaluation.records import Record
from voltween.evaluation.scores import NOT_MEASURED, PairScore, Scores
from voltween.storage import output_folder
from voltween.workers import Outcome, Runner, Shared, Task, sharing

logger = logging.getLogger(__name__)
_VOXELS_MM = 1e-6, 1e6  # smallest and largest of any use

_USUAL = EvaluationProtocol()

_Key = tuple[str, Pair]
_Work = dict[str, tuple[Method, Pair]]


class EvaluationInterrupted(KeyboardInterrupt):
    """Ends an evaluation at an interrupt (Ctrl-C, a termination)."""

    def __init__(self, scores: Scores) -> None:
        """Takes the scores so far, in which all other pairs are "missing"."""
        super().__init__()
        self.scores = scores


def evaluate(
    methods: Sequence[Method],
    cases: Sequence[Case],
    *,
    pairs: Sequence[Pair],
    out: Path,
    protocol: EvaluationProtocol = _USUAL,
    runner: Runner | None = None,
) -> Scores:
    """Measures all methods on all pairs; finished pairs in `out` are not repeated.

    A pair that cannot be registered or measured is recorded as failed, and tried again
    in the next run. All pairs of a method that cannot run here are "unavailable".

    Raises:
        EvaluationInterrupted: At an interrupt, with the scores so far.
        InputError: If a pair names an unknown case, an image is to be masked without
            labels, or voxels have no size.
        OutputError: If `out` cannot be written to.
    """
    check_pairs(pairs, [case.name for case in cases])
    _check_protocol(protocol, cases)
    output_folder(out)
    runner = runner or Runner()
    comparison = Comparison(methods, cases, protocol, out)
    try:
        with sharing(comparison, out, runner.engine) as shared:
            measuring = _Measuring(shared, runner)
            tasks = measuring.find(methods, tuple(dict.fromkeys(pairs)))
            try:
                measuring.run(tasks)
            except KeyboardInterrupt as stop:
                raise EvaluationInterrupted(measuring.scores(methods, pairs)) from stop
            return measuring.scores(methods, pairs)
    finally:
        workplace.cache_clear()


def _check_protocol(protocol: EvaluationProtocol, cases: Sequence[Case]) -> None:
    """Checks that scans can be masked and voxels have a size.

    Raises:
        InputError: If that is not so.
    """
    unlabeled = [case.name for case in cases if case.labels is None]
    if protocol.masked and unlabeled:
        raise InputError(about="masking", expected="labels", got=f"none of {unlabeled}")
    voxel_mm = protocol.landmark_voxel_mm or (1.0,)
    if not min(voxel_mm) > 0:
        raise InputError(
            about="voxels of landmark distances",
            expected="sizes above 0 mm",
            got=voxel_mm,
        )
    for size_mm in voxel_mm:
        check_range("voxels of landmark distances, mm", size_mm, *_VOXELS_MM)


class _Measuring:
    """The records of a comparison so far, and the runner that makes more."""

    def __init__(self, comparison: Shared[Comparison], runner: Runner) -> None:
        self.records: dict[_Key, Record] = {}
        self._comparison = comparison
        self._runner = runner

    def find(self, methods: Sequence[Method], pairs: Sequence[Pair]) -> _Work:
        """Finds the records of the methods; returns what is missing, by task."""
        work: _Work = {}
        for method in methods:
            missing = tuple(self._find(method, pairs))
            if missing and self._is_available(method, missing):
                work |= {_task_name(method, pair): (method, pair) for pair in missing}
        return work

    def scores(self, methods: Sequence[Method], pairs: Sequence[Pair]) -> Scores:
        """The scores so far; pairs without a record are missing."""
        records = [
            self.records.get((method.name, pair))
            or Record(_missing(method, pair, "missing", NOT_MEASURED))
            for method in methods
            for pair in pairs
        ]
        return Scores(
            tuple(record.pair for record in records),
            tuple(row for record in records for row in record.structures),
            tuple(row for record in records for row in record.stages),
        )

    def run(self, work: _Work) -> None:
        """Makes the records that are missing."""

        def note(outcome: Outcome) -> str:
            method, pair = work[outcome.name]
            record = self._record(method, pair, outcome)
            self.records[method.name, pair] = record
            return _remark(record.pair)

        tasks = [self._task(name, *of) for name, of in work.items()]
        self._runner.run(measure_pair, tasks, note)

    def _find(self, method: Method, pairs: Sequence[Pair]) -> Iterator[Pair]:
        """Takes over the finished pairs; yields those to be measured."""
        for pair in pairs:
            name = _task_name(method, pair)
            try:
                record = self._place.finished(method.name, pair)
            except InputError as error:  # of the files of its cases
                outcome = Outcome(name, str(error))
                self.records[method.name, pair] = self._record(method, pair, outcome)
                self._runner.status.end(outcome)
                continue
            if record is None:
                yield pair
            else:
                self.records[method.name, pair] = record
                self._runner.status.keep(name)

    def _is_available(self, method: Method, pairs: Sequence[Pair]) -> bool:
        """Makes a method ready; marks its pairs if it cannot run here."""
        try:
            method.make_ready()
            if self._runner.engine.is_this_machine:
                self._place.loaded(method.name)
        except InputError as error:
            for pair in pairs:
                score = _missing(method, pair, "unavailable", str(error))
                self.records[method.name, pair] = Record(score)
            return False
        return True

    def _task(self, name: str, method: Method, pair: Pair) -> Task:
        digests = self._place.digests(pair)
        return Task(name, (self._comparison, method.name, pair, digests))

    def _record(self, method: Method, pair: Pair, outcome: Outcome) -> Record:
        """The record of a pair that was tried: from the folder, or of its failure."""
        error = outcome.error
        if error is None:
            facts = self._place.record_facts(method.name, pair)
            record = self._place.records.find(method.name, pair, facts)
            if record is not None:
                return record
            error = "expected its record in the folder, got none: repeat the command"
        logger.warning("%s on %s failed: %s", method.name, pair, error)
        return Record(_missing(method, pair, "failed", error))

    @property
    def _place(self) -> Workplace:
        return workplace(self._comparison)


def _task_name(method: Method, pair: Pair) -> str:
    return f"{method.name}, {pair[1]} to {pair[0]}"


def _missing(method: Method, pair: Pair, status: Any, note: str) -> PairScore:
    return PairScore(
        method=method.name, fixed=pair[0], moving=pair[1], status=status, note=note
    )


def _remark(score: PairScore) -> str:
    """Dice and verdict of a measured pair."""
    return f"Dice {score.dice:.3f}, {score.verdict}" if score.status == "ok" else ""
