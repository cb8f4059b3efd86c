"""Preparation by two worker processes makes what one process makes."""

import pytest

from support.downloads import lits
from voltween.cohorts import download_named, prepare
from voltween.workers import Engine, Runner

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_two_workers_prepare_what_one_does_byte_for_byte(tmp_path):
    (tmp_path / "in").mkdir()
    lits(tmp_path / "in")
    broken = sorted((tmp_path / "in").rglob("volume*"))[-1]
    broken.write_bytes(broken.read_bytes()[:500])
    prepared = {}
    for workers in (1, 2):
        runner = Runner(Engine(workers=workers))
        prepared[workers] = prepare(
            download_named("lits"),
            tmp_path / "in",
            out=tmp_path / str(workers),
            runner=runner,
        )
    assert prepared[1].faults == prepared[2].faults
    assert prepared[1].made == prepared[2].made
    assert runner.status.count("failed") == 1
    files = sorted((tmp_path / "1").rglob("*.nii.gz"))
    files.append(tmp_path / "1" / "cases.csv")
    assert len(files) > len(prepared[1].made)
    for path in files:
        other = tmp_path / "2" / path.relative_to(tmp_path / "1")
        assert path.read_bytes() == other.read_bytes()
