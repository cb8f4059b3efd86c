"""Numbers of labels that are the same for all cases whose label files state names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voltween import io
from voltween.cohorts.manifest_row import Case
from voltween.errors import InputError


def number_labels_alike(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases, with one number for all structures of one name (`Case.named_labels`).

    A label file that is missing or damaged counts as one without names.
    """
    named = io.number_alike([_names(case.labels) for case in cases])
    return tuple(
        replace(case, named_labels=labels)
        for case, labels in zip(cases, named, strict=True)
    )


def _names(path: Path | None) -> dict[int, str]:
    try:
        return io.structure_names(path) if path else {}
    except InputError:  # whoever reads the labels is told
        return {}
