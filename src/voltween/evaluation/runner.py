"""Registers the pairs of a cohort with every method, measures them, and keeps both."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from voltween.cohorts import Case, Pair, Scan, check_pairs, read_scan
from voltween.digests import content_digest
from voltween.errors import InputError, check_range, reporting_memory_shortage
from voltween.evaluation.kept_transforms import KeptTransforms
from voltween.evaluation.measurement import (
    Outcome,
    measure_inverse_consistency,
    score_pair,
    score_stages,
    score_structures,
    score_verdict,
)
from voltween.evaluation.methods import Answer, Method, Registering
from voltween.evaluation.records import Record, Records
from voltween.evaluation.scores import PairScore, Scores
from voltween.files import output_folder
from voltween.process import Used, measuring

logger = logging.getLogger(__name__)
_SCANS_IN_MEMORY = 8
_MEGABYTE = 1e6
_VOXELS_MM = 1e-6, 1e6  # smallest and largest of any use


@dataclass(frozen=True)
class EvaluationProtocol:
    """Protocol by which pairs are registered and measured."""

    masked: bool = False
    """Mask the images by labels > 0 first, which strips the skull of a head."""
    inverse_consistency: bool = False
    """Register every pair in the other direction too, which takes twice the time, and
    measure the inverse-consistency error."""
    landmark_voxel_mm: tuple[float, float, float] | None = None
    """Size in mm, along the axes nearest to R, A and S, of the voxels in which landmark
    distances are given; if not given, the voxels of the fixed scan. The paper gives
    them in voxels of the network's grid."""
    keep_transforms: bool = False
    """Keep the fixed to moving transforms in the folder `transforms`. Existing ones of
    methods other than models are measured instead of registering again."""


def evaluate(
    methods: Sequence[Method],
    cases: Sequence[Case],
    *,
    pairs: Sequence[Pair],
    out: Path,
    protocol: EvaluationProtocol = EvaluationProtocol(),
    on_pair: Callable[[PairScore], None] = lambda score: None,
) -> Scores:
    """Measures all methods on all pairs; finished pairs in `out` are not repeated.

    A pair that cannot be registered or measured is recorded as failed, and tried again
    in the next run. All pairs of a method that cannot run here are "unavailable".

    Raises:
        InputError: If a pair names an unknown case, an image is to be masked without
            labels, or voxels have no size.
        OutputError: If `out` cannot be written to.
    """
    check_pairs(pairs, [case.name for case in cases])
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
    output_folder(out)
    comparison = _Comparison(cases, protocol, out)
    records = []
    for method in methods:
        for record in comparison.records_of(method, pairs):
            on_pair(record.pair)
            records.append(record)
    return Scores(
        tuple(record.pair for record in records),
        tuple(row for record in records for row in record.structures),
        tuple(row for record in records for row in record.stages),
    )


class _Comparison:
    """The scans in memory, the folder, and the protocol of one comparison."""

    def __init__(
        self, cases: Sequence[Case], protocol: EvaluationProtocol, out: Path
    ) -> None:
        self._cases = {case.name: case for case in cases}
        self.protocol = protocol
        self.records = Records(out)
        self.transforms = KeptTransforms(out) if protocol.keep_transforms else None
        self.scan = lru_cache(_SCANS_IN_MEMORY)(self._read_scan)
        self._digest = lru_cache(None)(self._digest_files)

    def records_of(self, method: Method, pairs: Sequence[Pair]) -> Iterator[Record]:
        """Records of the pairs, one after the other, read or made."""
        loaded: _LoadedMethod | None = None
        reason = ""
        for pair in pairs:
            try:
                record = self._find(method, pair)
            except InputError as error:  # of the files of its cases
                yield _failed(method, pair, error)
                continue
            if record is None and loaded is None and not reason:
                try:
                    loaded = _LoadedMethod.load(method, self)
                except InputError as error:
                    reason = str(error)
            if record is not None:
                yield record
            elif loaded is None:
                yield Record(_missing(method, pair, "unavailable", reason))
            else:
                yield self._make_record(loaded, pair)

    def _find(self, method: Method, pair: Pair) -> Record | None:
        return self.records.find(method.name, pair, self._record_facts(method, pair))

    def _make_record(self, loaded: "_LoadedMethod", pair: Pair) -> Record:
        record = loaded.record(pair)
        if record.pair.status == "ok":  # failed pairs are tried again next time
            self.records.keep(record, self._record_facts(loaded.method, pair))
        return record

    def transform_facts(self, method: Method, pair: Pair) -> dict[str, Any]:
        """All facts that a transform depends on."""
        return {
            "method": dict(method.facts),
            "masked": self.protocol.masked,
            "files": [self._digest(name) for name in pair],
        }

    def _record_facts(self, method: Method, pair: Pair) -> dict[str, Any]:
        """All facts that a record depends on."""
        voxel_mm = self.protocol.landmark_voxel_mm
        return self.transform_facts(method, pair) | {
            "inverse_consistency": self.protocol.inverse_consistency,
            "landmark_voxel_mm": voxel_mm and list(voxel_mm),  # as JSON has it
        }

    def _digest_files(self, name: str) -> str:
        """Digest of the content of a case's files.

        Raises:
            InputError: If one is missing or cannot be read.
        """
        try:
            return content_digest(*self._cases[name].files)
        except InputError as error:
            raise error.add_context(name) from error

    def _read_scan(self, name: str) -> Scan:
        return read_scan(self._cases[name], is_masked=self.protocol.masked)


@dataclass(frozen=True)
class _LoadedMethod:
    """A method that is ready to register, within a comparison."""

    method: Method
    register: Registering
    loading_seconds: float
    comparison: _Comparison

    @classmethod
    def load(cls, method: Method, comparison: _Comparison) -> "_LoadedMethod":
        """Loads a method.

        Raises:
            InputError: If it cannot run here.
        """
        method.make_ready()
        with measuring() as used:
            register = method.load()
        return cls(method, register, used.seconds, comparison)

    def record(self, pair: Pair) -> Record:
        """Registers and measures a pair, or notes why that failed."""
        transforms = self.comparison.transforms
        facts = self.comparison.transform_facts(self.method, pair)
        try:
            with reporting_memory_shortage():
                fixed, moving = (self.comparison.scan(name) for name in pair)
                kept = transforms and transforms.find(self.method.name, pair, facts)
                answer, resources = kept or self._register(fixed, moving)
        except Exception as error:  # tools raise all kinds
            return _failed(self.method, pair, error)
        if transforms and not kept:  # a full disk is no fault of the pair
            transforms.keep(
                self.method.name, pair, facts, answer=answer, figures=resources
            )
        try:
            with reporting_memory_shortage():
                return self._score(fixed, moving, answer, resources)
        except Exception as error:
            return _failed(self.method, pair, error)

    def _register(self, fixed: Scan, moving: Scan) -> tuple[Answer, dict[str, float]]:
        """The method's answer for a pair, and the resources it took."""
        for scan in (fixed, moving):
            self.method.prepare(scan.image)
        with measuring() as used:
            answer = self.register(fixed.image, moving.image)
            if answer.used is None:  # tools also make the moved image
                answer.fixed_to_moving.resample(moving.image, onto=fixed.image.grid)
        return answer, self._resources(answer.used or used)

    def _resources(self, used: Used) -> dict[str, float]:
        """Fields of a `PairScore`."""
        peak = used.peak_bytes
        return {
            "loading_seconds": used.loading_seconds or self.loading_seconds,
            "seconds": used.seconds,
            "processor_seconds": used.processor_seconds,
            "peak_memory_mb": float("nan") if peak is None else peak / _MEGABYTE,
        }

    def _score(
        self, fixed: Scan, moving: Scan, answer: Answer, resources: dict[str, Any]
    ) -> Record:
        method = self.method.name
        voxel_mm = self.comparison.protocol.landmark_voxel_mm
        outcome = Outcome(fixed, moving, answer.fixed_to_moving, voxel_mm)
        stages = score_stages(method, outcome, answer.stages)
        structures = score_structures(method, outcome)
        measures = score_pair(outcome, structures)
        measures |= score_verdict(outcome, self.method.criterion)
        if self.comparison.protocol.inverse_consistency:
            back = self.register(moving.image, fixed.image).fixed_to_moving
            error_mm = measure_inverse_consistency(outcome, back)
            measures["inverse_consistency_mm"] = error_mm
        names: Any = {"method": method, "fixed": fixed.name, "moving": moving.name}
        return Record(PairScore(**names, **resources, **measures), structures, stages)


def _missing(method: Method, pair: Pair, status: Any, note: str) -> PairScore:
    return PairScore(
        method=method.name, fixed=pair[0], moving=pair[1], status=status, note=note
    )


def _failed(method: Method, pair: Pair, error: Exception) -> Record:
    """A record of the error, unless it is one that the next pair would meet too."""
    if isinstance(error, OSError):  # of the disk or the output folder
        raise error
    logger.warning("%s on %s failed: %s", method.name, pair, error)
    return Record(_missing(method, pair, "failed", _one_line(error)))


def _one_line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return f"{kind}{lines[0]}"
