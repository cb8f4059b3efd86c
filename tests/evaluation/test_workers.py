"""Comparisons by two worker processes are those of one."""

import json

import pytest

from support.cohorts import write_cohort
from support.scans import tiny_model
from voltween.cohorts import ordered_pairs, read_manifest
from voltween.evaluation import EvaluationProtocol, evaluate, method_named
from voltween.models import save_model
from voltween.workers import Engine, Runner

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::voltween.errors.SuspiciousInputWarning"
)
TIMES = ("loading_seconds", "seconds", "processor_seconds", "peak_memory_mb")


def measures(folder):
    """The records of a folder without what the resources were, by path."""
    records = {}
    for path in (folder / "finished").rglob("*.json"):
        content = json.loads(path.read_text("utf-8"))
        records[path.relative_to(folder)] = without(content, TIMES)
    return records


def without(value, names):
    """The value without keys of these names."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in (*names, "figures")}
        return {name: without(item, names) for name, item in kept.items()}
    return [without(v, names) for v in value] if isinstance(value, list) else value


def test_two_workers_measure_what_one_does_byte_for_byte(tmp_path):
    (tmp_path / "cohort").mkdir()
    cases = read_manifest(write_cohort(tmp_path / "cohort", 0, 3))
    file = save_model(tiny_model(strength=0.2), tmp_path / "tiny.safetensors")
    pairs = ordered_pairs([case.name for case in cases])[:4]
    cases[2].labels.unlink()  # its pairs fail
    found = {}
    for workers in (1, 2):
        runner = Runner(Engine(workers=workers))
        found[workers] = evaluate(
            [method_named(f"model:{file}"), method_named("centres")],
            cases,
            pairs=pairs,
            out=tmp_path / str(workers),
            protocol=EvaluationProtocol(keep_transforms=True),
            runner=runner,
        )
        assert runner.status.count("failed") == len(runner.status.failures) == 4
        assert runner.status.count("done") == 4
    statuses = [[pair.status for pair in found[n].pairs] for n in (1, 2)]
    assert statuses[0] == statuses[1] == 2 * ["ok", "failed", "ok", "failed"]
    assert measures(tmp_path / "1") == measures(tmp_path / "2")
    transforms = sorted((tmp_path / "1" / "transforms").rglob("*.h5"))
    assert len(transforms) == 4
    for path in transforms:
        other = tmp_path / "2" / path.relative_to(tmp_path / "1")
        assert path.read_bytes() == other.read_bytes()
