"""The work on one pair of a comparison, in whichever process: register, measure, keep.

A process keeps the methods it has loaded and the scans it has read for the next pair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from voltween.cohorts import Case, Pair, Scan, read_scan
from voltween.errors import InputError
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
from voltween.evaluation.pair_report import Measured, Pictures, Reports
from voltween.evaluation.records import Record, Records
from voltween.evaluation.scores import PairScore
from voltween.process import Used, measuring
from voltween.reports import Crop
from voltween.storage import content_digest
from voltween.workers import Shared

_SCANS_IN_MEMORY = 8
_MEGABYTE = 1e6


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
    reports: Reports = "none"
    """Pairs that get a page with verdict, figures and viewer (report.html of `voltween
    register`), to which index.html links: all, or those whose verdict is not good. A
    page has 0.3 to 4 MB. Pairs measured before without it are registered again, or read
    from the kept transforms."""
    report_crop: Crop = "none"
    """With brain, reports and thumbnails show nothing away from the brain, such as the
    face."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The methods, cases, protocol and folder of a comparison, sent to processes."""

    methods: Sequence[Method]
    cases: Sequence[Case]
    protocol: EvaluationProtocol
    out: Path


@dataclass(frozen=True, eq=False)
class LoadedMethod:
    """A method that is ready to register."""

    method: Method
    register: Registering
    loading_seconds: float


class Workplace:
    """A process's share of a comparison: loaded methods, scans, digests of files."""

    def __init__(self, comparison: Comparison) -> None:
        """Loads nothing yet."""
        self.protocol = comparison.protocol
        self.records = Records(comparison.out)
        self.transforms = (
            KeptTransforms(comparison.out) if self.protocol.keep_transforms else None
        )
        self.pictures = Pictures(
            comparison.out, self.protocol.reports, self.protocol.report_crop
        )
        self._methods = {method.name: method for method in comparison.methods}
        self._cases = {case.name: case for case in comparison.cases}
        self._digests: dict[str, str] = {}
        self.scan = lru_cache(_SCANS_IN_MEMORY)(self._read_scan)
        self.loaded = lru_cache(None)(self._load)

    def transform_facts(self, method: str, pair: Pair) -> dict[str, Any]:
        """All facts that a transform depends on.

        Raises:
            InputError: If a file of the pair is missing or cannot be read.
        """
        return {
            "method": dict(self._methods[method].facts),
            "masked": self.protocol.masked,
            "files": list(self.digests(pair).values()),
        }

    def record_facts(self, method: str, pair: Pair) -> dict[str, Any]:
        """All facts that a record depends on.

        Raises:
            InputError: If a file of the pair is missing or cannot be read.
        """
        voxel_mm = self.protocol.landmark_voxel_mm
        crop = self.protocol.report_crop
        named = [self._cases[name].label_facts for name in pair]
        criterion = self._methods[method].criterion
        return self.transform_facts(method, pair) | {
            **({"labels": named} if any(named) else {}),
            **({} if crop == "none" else {"crop": crop}),  # of the pictures
            **criterion.facts,  # of the verdict
            "inverse_consistency": self.protocol.inverse_consistency,
            "landmark_voxel_mm": voxel_mm and list(voxel_mm),  # as JSON has it
        }

    def finished(self, method: str, pair: Pair) -> Record | None:
        """The record of a pair that is measured and has its report, if it is wanted.

        Raises:
            InputError: If a file of the pair is missing or cannot be read.
        """
        record = self.records.find(method, pair, self.record_facts(method, pair))
        return None if record and self.pictures.lacks_report(record.pair) else record

    def digests(self, pair: Pair) -> dict[str, str]:
        """Digests of the files of a pair's cases, by name.

        Raises:
            InputError: If one is missing or cannot be read.
        """
        for name in pair:
            if name not in self._digests:
                self._digests[name] = _digest_files(self._cases[name])
        return {name: self._digests[name] for name in pair}

    def use_digests(self, digests: dict[str, str]) -> None:
        """Takes over digests that another process has computed."""
        self._digests |= digests

    def draw(self, method: Method, pair: Measured) -> None:
        """Writes the pictures of a measured pair."""
        cases = self._cases[pair.fixed.name], self._cases[pair.moving.name]
        self.pictures.draw(pair)
        self.pictures.report(method, cases, pair)

    def _load(self, name: str) -> LoadedMethod:
        with measuring() as used:
            register = self._methods[name].load()
        return LoadedMethod(self._methods[name], register, used.seconds)

    def _read_scan(self, name: str) -> Scan:
        return read_scan(self._cases[name], is_masked=self.protocol.masked)


@lru_cache(1)
def workplace(comparison: Shared[Comparison]) -> Workplace:
    """The share of this process in a comparison; that of another one is dropped."""
    return Workplace(comparison.value)


def measure_pair(
    comparison: Shared[Comparison], name: str, pair: Pair, digests: dict[str, str]
) -> None:
    """Registers a pair by a method, measures it, and keeps the record.

    Does nothing if it is done: the worker that did it may have died since.

    Args:
        comparison: The comparison.
        name: Name of the method.
        pair: Names of the fixed and the moving case.
        digests: Digests of the files of these cases.

    Raises:
        InputError: If the pair cannot be registered or measured.
        OutputError: If the record cannot be written.
    """
    place = workplace(comparison)
    place.use_digests(digests)
    if place.finished(name, pair) is not None:
        return
    fixed, moving = (place.scan(case) for case in pair)
    loaded, facts = place.loaded(name), place.transform_facts(name, pair)
    transforms = place.transforms
    kept = transforms.find(name, pair, facts) if transforms else None
    answer, resources = kept or _register(loaded, fixed, moving)
    if transforms and not kept:
        transforms.keep(name, pair, facts, answer=answer, figures=resources)
    record = _score(loaded, Answered(fixed, moving, answer, resources), place.protocol)
    place.draw(loaded.method, Measured(fixed, moving, answer, record))
    place.records.keep(record, place.record_facts(name, pair))


@dataclass(frozen=True, eq=False)
class Answered:
    """A pair with a method's answer, and the fields of a `PairScore` on resources."""

    fixed: Scan
    moving: Scan
    answer: Answer
    resources: dict[str, Any]


def _register(
    loaded: LoadedMethod, fixed: Scan, moving: Scan
) -> tuple[Answer, dict[str, float]]:
    """The method's answer for a pair, and the resources it took."""
    for scan in (fixed, moving):
        loaded.method.prepare(scan.image)
    with measuring() as used:
        answer = loaded.register(fixed.image, moving.image)
        if answer.used is None:  # tools also make the moved image
            answer.fixed_to_moving.resample(moving.image, onto=fixed.image.grid)
    return answer, _resources(answer.used or used, loaded.loading_seconds)


def _resources(used: Used, loading_seconds: float) -> dict[str, float]:
    """Fields of a `PairScore`."""
    peak = used.peak_bytes
    return {
        "loading_seconds": used.loading_seconds or loading_seconds,
        "seconds": used.seconds,
        "processor_seconds": used.processor_seconds,
        "peak_memory_mb": float("nan") if peak is None else peak / _MEGABYTE,
        "threads": torch.get_num_threads(),
    }


def _score(
    loaded: LoadedMethod, pair: Answered, protocol: EvaluationProtocol
) -> Record:
    method, fixed, moving = loaded.method.name, pair.fixed, pair.moving
    transform = pair.answer.fixed_to_moving
    outcome = Outcome(fixed, moving, transform, protocol.landmark_voxel_mm)
    stages = score_stages(method, outcome, pair.answer.stages)
    structures = score_structures(method, outcome)
    measures = score_pair(outcome, structures)
    measures |= score_verdict(outcome, loaded.method.criterion)
    if protocol.inverse_consistency:
        back = loaded.register(moving.image, fixed.image).fixed_to_moving
        measures["inverse_consistency_mm"] = measure_inverse_consistency(outcome, back)
    names: Any = {"method": method, "fixed": fixed.name, "moving": moving.name}
    fields: dict[str, Any] = {**names, **pair.resources, **measures}
    score = PairScore(**fields)
    return Record(score, structures, stages)


def _digest_files(case: Case) -> str:
    """Digest of the content of a case's files.

    Raises:
        InputError: If one is missing or cannot be read.
    """
    try:
        return content_digest(*case.files)
    except InputError as error:
        raise error.add_context(case.name) from error
