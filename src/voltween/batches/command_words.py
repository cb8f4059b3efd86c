"""The command line that registers one pair of a cohort by itself."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from voltween.batches.pair_job import PairJob


def register_words(job: PairJob, out: Path) -> list[str]:
    """The words of `voltween register` for a pair; options at their defaults are left.

    Landmarks that do not guide are left out, as they would guide there.
    """
    files = job.companions
    if not job.points_guide:
        files = replace(files, fixed_points=None, moving_points=None)
    scans = ["voltween", "register", str(job.fixed), str(job.moving)]
    options = [*_words(files), *_words(job.options)]
    return [*scans, "--out", str(out), *options]


def _words(group: Any) -> Iterator[str]:
    """The words of the options of a group that are not at their defaults."""
    usual = type(group)()
    for field in fields(group):
        value = getattr(group, field.name)
        if is_dataclass(value):
            yield from _words(value)
        elif value != getattr(usual, field.name):
            yield f"--{field.name.replace('_', '-')}"
            if isinstance(value, tuple):
                yield from map(str, value)
            elif value is not True:
                yield str(value)
