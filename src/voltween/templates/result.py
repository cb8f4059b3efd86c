"""The result of a template: the image, all transforms, and a summary to read."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from voltween import io
from voltween.storage import (
    Draft,
    Store,
    content_digest,
    file_name,
    markdown,
    write_if_changed,
)
from voltween.templates.averaging import FEWEST_TO_TRIM, Average
from voltween.templates.rounds import MEAN, RECORDS, Round

TEMPLATE, TRANSFORMS, SUMMARY = MEAN, "transforms", "summary.md"
_FORMAT = 1  # raise it when the result of the same rounds changes


@dataclass(frozen=True)
class TemplateResult:
    """A template in its folder."""

    out: Path
    rounds: tuple[Round, ...]
    failures: Mapping[str, str]
    """Reasons why scans could not be read, by name."""
    average: Average = "mean"
    """Average of the intensities that was asked for."""

    @property
    def template(self) -> Path:
        """The file of the template."""
        return self.out / TEMPLATE

    @property
    def left_out(self) -> Mapping[str, str]:
        """Reasons why scans have no transform in the end, by name."""
        return {**self.failures, **self.rounds[-1].registered.left_out}

    def transform(self, name: str) -> Path:
        """The file of the transform from the template to a scan, as fixed to moving."""
        return self.out / transform_path(name)


def transform_path(name: str, *, is_inverse: bool = False) -> str:
    """The path of the transform of a scan, or its inverse, in a template's folder."""
    ending = "_inverse" if is_inverse else ""
    return f"{TRANSFORMS}/{file_name(name)}{ending}.h5"


def write_result(result: TemplateResult) -> None:
    """Writes template.nii.gz, the transforms of all scans, and summary.md.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    last = result.rounds[-1]

    def make(draft: Draft) -> None:
        shutil.copyfile(last.template, draft.path(TEMPLATE))
        for name in last.names:
            transform = last.transform(name)
            io.write(transform, draft.path(transform_path(name)))
            inverse = transform.inverse()
            io.write(inverse, draft.path(transform_path(name, is_inverse=True)))

    transforms = {name: content_digest(last.file_of(name)) for name in last.names}
    facts = {
        "format": _FORMAT,
        "template": content_digest(last.template),
        "update": content_digest(last.update),
        "transforms": transforms,
    }
    Store(result.out, RECORDS).found_or_made(facts, make, name="template")
    write_if_changed(result.out / SUMMARY, "\n".join(_lines(result)) + "\n")


def _lines(result: TemplateResult) -> Iterator[str]:
    """The summary in Markdown."""
    yield from ("# Template", "", "| round | scans | change of shape, mm |")
    yield "|---|---|---|"
    for each in result.rounds:
        change = each.values.get("shape_change_mm")
        shown = "" if change is None else f"{change:.3g}"
        yield f"| {each.number} | {len(each.names)} | {shown} |"
    yield from _note_on_trimming(result)
    if result.failures:
        yield from ("", "## Scans that could not be read", "")
        yield from _listed(result.failures)
    for each in result.rounds:
        if each.registered.left_out:
            yield from ("", f"## Left out of round {each.number}", "")
            yield from _listed(each.registered.left_out)


def _note_on_trimming(result: TemplateResult) -> Iterator[str]:
    """Says in which rounds too few scans took part to leave any of them out."""
    counts = {each.number: len(each.names) for each in result.rounds}
    short = [str(n) for n, count in counts.items() if 0 < count < FEWEST_TO_TRIM]
    if result.average == "trimmed" and short:
        yield ""
        yield (
            f"`--average trimmed` leaves scans out of {FEWEST_TO_TRIM} or more. There "
            f"were fewer in round {', '.join(short)}: the average is the mean there."
        )


def _listed(reasons: Mapping[str, str]) -> Iterator[str]:
    for name, reason in reasons.items():
        yield f"- {markdown(name)}: {markdown(reason)}"
