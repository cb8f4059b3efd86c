"""One pair of a cohort: registered into the store, and found there afterwards."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from voltween.batches.command_words import register_words
from voltween.batches.kept_files import kept_digest
from voltween.batches.layout import FAILED, RECORDS, THUMBNAILS, Layout
from voltween.batches.options import RegistrationOptions
from voltween.batches.pair_job import PairJob, register_files
from voltween.batches.scores import scores_of
from voltween.errors import InputError
from voltween.figures import write_thumbnail
from voltween.models import shipped_models, weights_digest
from voltween.refinement import WITHOUT_MODEL
from voltween.registration import AUTO, Carried, Registration
from voltween.reports import Crop, scans_to_show
from voltween.storage import Finished, PathLike, Store, reading

_FORMAT = 2  # raise it when results or their records change


@dataclass(frozen=True)
class Work:
    """One pair of a cohort: its names, its files and where the result goes."""

    name: str
    """The name of its record, which no other pair of the folder has."""
    fixed: str
    moving: str
    job: PairJob
    layout: Layout

    @property
    def thumbnail(self) -> str:
        """The path of a small picture of the result, in the folder of the cohort."""
        return f"{THUMBNAILS}/{self.name}.webp"

    def facts(self) -> dict[str, Any]:
        """Everything that the result depends on, as JSON types."""
        options = asdict(self.job.options)
        del options["structures"]  # its content counts, and not its path
        if options["device"] == RegistrationOptions.device:
            del options["device"]  # results from before there was the option count
        return json.loads(
            json.dumps(
                {
                    "format": _FORMAT,
                    "voltween": version("voltween"),
                    "inputs": {
                        role: [_digest(path) for path in paths]
                        for role, paths in self.job.inputs.items()
                    },
                    "model": _model_digest(self.job.options.model),
                    "options": options,
                    "points_guide": self.job.points_guide,
                    "layout": self.layout.facts(),
                }
            )
        )


def finished_work(out: Path, work: Work) -> Finished | None:
    """The record of a pair that was registered from the same files and options."""
    store = _store(out)
    return store.find(work.facts(), name=work.name) if _has(store, work) else None


def failed_work(out: Path, work: Work) -> str | None:
    """The line by which the same work failed before; None if it did not."""
    store = _failures(out)
    record = store.find(work.facts(), name=work.name) if _has(store, work) else None
    return None if record is None else str(record.values.get("error", ""))


def stored_pair(out: Path, work: Work) -> tuple[str, Mapping[str, Any]]:
    """The state of a pair, done, failed or missing, and what its record says.

    A record counts whatever it depends on: another process may have made it meanwhile.
    A pair that failed may have the folder of an earlier result, which is kept: a disk
    that is not there for a while must not cost the results.
    """
    done, failed = (
        store.read(work.name) if _has(store, work) else None
        for store in (_store(out), _failures(out))
    )
    if failed is not None:
        earlier = {"folder": done.values.get("folder", "")} if done else {}
        return "failed", {**failed.values, **earlier}
    return ("done", done.values) if done else ("missing", {})


def do_work(out: Path, work: Work) -> None:
    """Registers a pair and keeps its result in the folder of the cohort.

    Does nothing if it is done: the worker that did it may have died since.

    Raises:
        InputError: If a file of the pair cannot be used.
        OutputError: If the folder cannot be written to.
    """
    if finished_work(out, work):
        return
    inputs = [path for paths in work.job.inputs.values() for path in paths]
    with reading(inputs), _store(out).making(work.facts(), name=work.name) as draft:
        figures = register_files(
            work.job,
            draft.path(work.layout.folder),
            command=register_words(work.job, out / work.layout.shown_folder),
            on_registered=partial(
                _write_thumbnail,
                draft.path(work.thumbnail),
                work.job.options.report_crop,
            ),
        )
        work.layout.arrange(draft.folder)
        has_picture = (draft.folder / work.thumbnail).exists()
        draft.values.update(
            fixed=work.fixed,
            moving=work.moving,
            folder=work.layout.shown_folder,
            report=work.layout.report,
            thumbnail=work.thumbnail if has_picture else "",
            scores=scores_of(figures),
        )
    forget_failure(out, work)


def keep_failure(out: Path, work: Work, line: str) -> None:
    """Records that a pair failed, and why."""
    try:
        facts = work.facts()
    except (InputError, OSError):  # nothing to recognize it by: it is tried again
        return
    with _failures(out).making(facts, name=work.name) as draft:
        draft.values.update(fixed=work.fixed, moving=work.moving, error=line)


def forget_failure(out: Path, work: Work) -> None:
    """Deletes the record that a pair failed, if there is one: the pair is done."""
    _failures(out).record_path(work.name).unlink(missing_ok=True)


def _write_thumbnail(
    path: Path, crop: Crop, registration: Registration, carried: Carried
) -> None:
    """Writes the picture; none if faces are to be left out and no brain is found."""
    scans = (registration.fixed, registration.moving)
    labels = (carried.fixed_labels, carried.moving_labels)
    shown = scans_to_show(scans, labels, crop)
    if not shown.are_blank:
        transform = registration.fixed_to_moving
        write_thumbnail(shown.fixed, shown.moving, path, fixed_to_moving=transform)


def _store(out: Path) -> Store:
    return Store(out, RECORDS)


def _failures(out: Path) -> Store:
    return Store(out, FAILED)


def _has(store: Store, work: Work) -> bool:
    """Whether there is a record at all; inputs are read for their digests otherwise."""
    return store.record_path(work.name).exists()


def _digest(path: Path) -> str:
    """The digest of a file, or the reason why there is none."""
    try:
        return kept_digest(path)
    except InputError as error:
        return str(error)
    except OSError as error:
        return str(error.strerror)


def _model_digest(name: PathLike) -> str | dict[str, str] | None:
    """The digest of the model, or of all that may be chosen."""
    if name == WITHOUT_MODEL:
        return None
    if name != AUTO:
        return weights_digest(name)
    return dict(_shipped_digests())


@cache
def _shipped_digests() -> Sequence[tuple[str, str]]:
    return [(name, weights_digest(name)) for name, _ in shipped_models()]
