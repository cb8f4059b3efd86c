"""Methods on pairs of a cohort: every pair registered, measured, and kept."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from voltween import io
from voltween.cohorts import Case, Pair, Scan, check_pairs, load_case, mask_by_labels
from voltween.errors import InputError
from voltween.evaluation.measurement import (
    inverse_consistency,
    pair_measures,
    stage_scores,
    structure_scores,
)
from voltween.evaluation.methods import Answer, Method, Registering
from voltween.evaluation.records import Record, Records, kept_transform
from voltween.evaluation.scores import PairScore, Scores
from voltween.files import output_folder, whole_file
from voltween.process import Used, measuring

logger = logging.getLogger(__name__)
_SCANS_IN_MEMORY = 8
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Protocol:
    """How pairs are registered and measured."""

    masked: bool = False
    """Mask the images by labels > 0 first, as skull-stripping does."""
    inverse_consistency: bool = False
    """Register every pair the other way round, too (twice the time), and measure by how
    much there and back misses."""
    keep_transforms: bool = False
    """Keep fixed to moving transforms in the folder `transforms`, and, of methods other
    than models, measure those that are there instead of registering again."""


def evaluate(
    methods: Sequence[Method],
    cases: Sequence[Case],
    *,
    pairs: Sequence[Pair],
    out: Path,
    protocol: Protocol = Protocol(),
    on_pair: Callable[[PairScore], None] = lambda score: None,
) -> Scores:
    """All methods on all pairs; `out` keeps what is finished, and is looked at first.

    A pair that cannot be registered or measured is recorded as failed, and tried again
    in the next run; a method that cannot run here has all its pairs "unavailable".

    Raises:
        InputError: If a pair names a case that is not there, an image is to be masked
            without labels, or `out` cannot be written to.
    """
    check_pairs(pairs, [case.name for case in cases])
    if protocol.masked and (bare := [c.name for c in cases if c.labels is None]):
        raise InputError(f"masking needs labels, these cases have none: {bare}")
    output_folder(out)
    run = _Run(cases, protocol, out)
    records = []
    for method in methods:
        for record in run.records(method, pairs):
            on_pair(record.pair)
            records.append(record)
    return Scores(
        tuple(record.pair for record in records),
        tuple(row for record in records for row in record.structures),
        tuple(row for record in records for row in record.stages),
    )


class _Run:
    """One comparison: the scans in memory, the folder, how it is done."""

    def __init__(self, cases: Sequence[Case], protocol: Protocol, out: Path) -> None:
        self._cases = {case.name: case for case in cases}
        self._protocol = protocol
        self._out = out
        self._records = Records(out)
        self.scan = lru_cache(_SCANS_IN_MEMORY)(self._read)
        self.digest = lru_cache(None)(self._digest)

    def records(self, method: Method, pairs: Sequence[Pair]) -> Iterator[Record]:
        """What is measured of the pairs, one after the other."""
        loaded: _Loaded | None = None
        for pair in pairs:
            facts = self._facts(method, pair)
            record = self._records.find(method.name, pair, facts)
            if record is None:
                loaded = loaded or _load(method)
                if loaded.register is None:
                    yield Record(_missing(method, pair, "unavailable", loaded.note))
                    continue
                record = self._measured(method, loaded, pair)
                if record.pair.status == "ok":  # others are tried again next time
                    self._records.keep(record, facts)
            yield record

    def _measured(self, method: Method, loaded: "_Loaded", pair: Pair) -> Record:
        """The pair registered and measured, or why that failed."""
        try:
            fixed, moving = (self.scan(name) for name in pair)
            answer, figures = self._answer(method, loaded, fixed, moving)
        except Exception as error:  # whatever a tool throws
            return _failed(method, pair, error)
        self._keep(method, pair, answer, figures)  # a full disk is no fault of the pair
        try:
            return self._scored(method, loaded, (fixed, moving), answer, figures)
        except Exception as error:
            return _failed(method, pair, error)

    def _answer(
        self, method: Method, loaded: "_Loaded", fixed: Scan, moving: Scan
    ) -> tuple[Answer, dict[str, Any]]:
        """The method's answer and what it took; a kept one if there is one."""
        pair = fixed.name, moving.name
        if self._protocol.keep_transforms:
            facts = self._registration_facts(method, pair)
            if kept := _kept(kept_transform(self._out, method.name, pair), facts):
                return kept
        for scan in (fixed, moving):
            method.prepare(scan.image)
        assert loaded.register is not None
        with measuring() as used:
            answer = loaded.register(fixed.image, moving.image)
            if answer.used is None:  # tools also make the moved image
                answer.fixed_to_moving.resample(moving.image, onto=fixed.image.grid)
        return answer, _figures(answer.used or used, loaded)

    def _keep(
        self, method: Method, pair: Pair, answer: Answer, figures: dict[str, Any]
    ) -> None:
        """The transform, and beside it what it took, if asked and not there yet."""
        if not self._protocol.keep_transforms:
            return
        path = kept_transform(self._out, method.name, pair)
        facts = self._registration_facts(method, pair)
        if _kept(path, facts):
            return
        output_folder(path.parent)
        io.write(answer.fixed_to_moving, path)
        if answer.stages:
            return  # models register anew: that is quick, and all stages are measured
        with whole_file(path.with_suffix(".json")) as partial:
            partial.write_text(json.dumps({"facts": facts, "figures": figures}))

    def _scored(
        self,
        method: Method,
        loaded: "_Loaded",
        scans: tuple[Scan, Scan],
        answer: Answer,
        figures: dict[str, Any],
    ) -> Record:
        fixed, moving = scans
        transform = answer.fixed_to_moving
        structures = structure_scores(method.name, fixed, moving, transform)
        measures = pair_measures(structures, fixed, moving, transform)
        measures |= self._round_trip(loaded, fixed, moving, answer)
        names: Any = {"method": method.name, "fixed": fixed.name, "moving": moving.name}
        return Record(
            PairScore(**names, **figures, **measures),
            structures,
            stage_scores(method.name, fixed, moving, answer.stages),
        )

    def _round_trip(
        self, loaded: "_Loaded", fixed: Scan, moving: Scan, answer: Answer
    ) -> dict[str, float]:
        if not self._protocol.inverse_consistency:
            return {}
        assert loaded.register is not None
        back = loaded.register(moving.image, fixed.image).fixed_to_moving
        error_mm = inverse_consistency(fixed, moving, answer.fixed_to_moving, back)
        return {"inverse_consistency_mm": error_mm}

    def _registration_facts(self, method: Method, pair: Pair) -> dict[str, Any]:
        """What decides a transform."""
        return {
            "method": dict(method.facts),
            "masked": self._protocol.masked,
            "files": [self.digest(name) for name in pair],
        }

    def _facts(self, method: Method, pair: Pair) -> dict[str, Any]:
        """What decides a record."""
        there_and_back = {"inverse_consistency": self._protocol.inverse_consistency}
        return self._registration_facts(method, pair) | there_and_back

    def _digest(self, name: str) -> str:
        """What stands for the content of a case's files."""
        digest = hashlib.sha256()
        for path in _files(self._cases[name]):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def _read(self, name: str) -> Scan:
        case = self._cases[name]
        image, labels = load_case(case)
        if self._protocol.masked:
            assert labels is not None
            image = mask_by_labels(image, labels)
        points = io.read_points(case.points) if case.points else None
        return Scan(name, image, labels, points)


@dataclass(frozen=True)
class _Loaded:
    """A method ready to register, or why it cannot."""

    register: Registering | None
    note: str = ""
    seconds: float = 0.0


def _load(method: Method) -> _Loaded:
    try:
        method.make_ready()
        with measuring() as used:
            register = method.load()
    except InputError as error:
        return _Loaded(None, str(error))
    return _Loaded(register, seconds=used.seconds)


def _figures(used: Used, loaded: _Loaded) -> dict[str, float]:
    """Fields of a `PairScore`."""
    peak = used.peak_bytes
    return {
        "loading_seconds": used.loading_seconds or loaded.seconds,
        "seconds": used.seconds,
        "processor_seconds": used.processor_seconds,
        "peak_memory_mb": float("nan") if peak is None else peak / _MEGABYTE,
    }


def _kept(path: Path, facts: dict[str, Any]) -> tuple[Answer, dict[str, float]] | None:
    """A transform that was kept under the same facts, and what it took."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        return None
    stored = json.loads(beside.read_text())
    if stored["facts"] != facts:
        return None
    transform = io.read_transform(path)
    return Answer(transform), stored["figures"]


def _files(case: Case) -> list[Path]:
    """Of a DICOM folder, all that are in it."""
    given = [path for path in (case.image, case.labels, case.points) if path]
    folders = [sorted(path.iterdir()) if path.is_dir() else [path] for path in given]
    return [path for folder in folders for path in folder if path.is_file()]


def _missing(method: Method, pair: Pair, status: Any, note: str) -> PairScore:
    return PairScore(
        method=method.name, fixed=pair[0], moving=pair[1], status=status, note=note
    )


def _failed(method: Method, pair: Pair, error: Exception) -> Record:
    """A record of what went wrong, unless the next pair would meet it, too."""
    if isinstance(error, OSError):  # of the disk or the output folder
        raise error
    logger.warning("%s on %s failed: %s", method.name, pair, error)
    return Record(_missing(method, pair, "failed", _described(error)))


def _described(error: Exception) -> str:
    """One line on what went wrong."""
    lines = str(error).splitlines() or [""]
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return f"{kind}{lines[0]}"
