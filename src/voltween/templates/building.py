"""A template from a cohort of scans: its start, its rounds, and the result."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voltween import io
from voltween.batches import (
    Registered,
    Registering,
    check_registration,
    register_cases,
)
from voltween.cohorts import Case
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.preprocessing import check_is_scan
from voltween.storage import Store, content_digest, file_name, naming
from voltween.templates.options import TemplateOptions
from voltween.templates.result import TemplateResult, transform_path, write_result
from voltween.templates.rounds import RECORDS, Averager, Round, round_folder
from voltween.templates.survey import Survey, survey_scan

_FEWEST = 2


@dataclass(frozen=True)
class Surveyed:
    """The scans that can be read, and the reasons why others cannot."""

    surveys: Mapping[str, Survey]
    failures: Mapping[str, str]


def build_template(
    cases: Sequence[Case],
    out: Path,
    options: TemplateOptions,
    registering: Registering,
    *,
    start: Path | None = None,
) -> TemplateResult:
    """Makes a template of scans in a folder, or goes on where an earlier run ended.

    With a start, the template keeps its grid and its pose. Without one, the scans are
    registered affinely to the first of them, and their mean in the mean pose is the
    start. Every round registers all scans to the template and averages them in their
    mean shape. What is done is found by what it depends on: more rounds go on, and
    other options begin anew where they matter.

    Args:
        cases: The scans, at least two.
        out: The folder; made if missing.
        options: How the template is made.
        registering: Registers the pairs of a round.
        start: An image to start from.

    Raises:
        InputError: If fewer than two scans can be used, some are CT and others are not,
            two names would give one file, or an option cannot be used.
        OutputError: If the folder cannot be written to.
    """
    for registration in (options.first_registration, options.registration):
        check_registration(registration)
    _check_names(cases)
    if start is not None:
        _check_start(start, options.rounds)
    surveyed = _survey(cases, out)
    readable = {c.name: c for c in cases if c.name in surveyed.surveys}
    _check_scans(readable, surveyed)
    averager = Averager(out, readable, surveyed.surveys, options.averaging)
    builder = _Builder(averager, options, registering)
    rounds = [*builder.start(start)]
    for number in range(1, options.rounds + 1):
        rounds.append(builder.next(number, rounds[-1].template if rounds else start))
    average = options.averaging.average
    result = TemplateResult(out, tuple(rounds), surveyed.failures, average)
    write_result(result)
    return result


@dataclass(frozen=True)
class _Builder:
    """Registers and averages, round by round."""

    averager: Averager
    options: TemplateOptions
    registering: Registering

    def start(self, start: Path | None) -> list[Round]:
        """The round before the first one; none if a given start is used as it is."""
        if start is None:
            return [self._affine_round()]
        if self.options.averaging.mirrored:
            return [self.averager.symmetric_start(start)]
        return []

    def next(self, number: int, template: Path | None) -> Round:
        """A round that registers all scans to a template."""
        assert template is not None  # given, or that of the round before
        folder = self.averager.out / round_folder(number)
        cases, options = [*self.averager.cases.values()], self.options.registration
        registered = register_cases(
            cases, template, folder, options, self.registering, is_one_contrast=True
        )
        _check_enough(registered, folder)
        return self.averager.next(number, template, registered)

    def _affine_round(self) -> Round:
        """The round that registers all scans to the first one."""
        base, *others = self.averager.cases.values()
        folder = self.averager.out / round_folder(0)
        options = self.options.first_registration
        registered = register_cases(
            others, base.image, folder, options, self.registering, is_one_contrast=True
        )
        _check_enough(registered, folder, besides=1)
        return self.averager.first(base.name, registered)


def _check_start(start: Path, rounds: int) -> None:
    """Checks that a start can be read and registered to, and is."""
    if rounds < 1:
        raise InputError(
            about="--rounds", expected="at least 1 with a --start", got=rounds
        )
    image = io.read(start)
    with naming(start):
        check_is_scan(image)


def _check_names(cases: Sequence[Case]) -> None:
    """Checks that all transforms get files of their own, on every file system."""
    owners: dict[str, str] = {}
    for case in cases:
        for is_inverse in (False, True):
            path = transform_path(case.name, is_inverse=is_inverse)
            other = owners.setdefault(path.casefold(), case.name)
            if other != case.name:
                raise InputError(
                    about="scans of the template",
                    expected="names that give every transform a file of its own",
                    got=f"{other} and {case.name}, which would share {path}",
                    advice="rename one of them",
                )


def _survey(cases: Sequence[Case], out: Path) -> Surveyed:
    """Reads all scans once; what is known of them is kept."""
    store, surveys, failures = Store(out, RECORDS), {}, {}
    for case in cases:
        try:
            name = f"scan-{file_name(case.name)}"
            surveys[case.name] = survey_scan(case.image, store, name)
        except InputError as error:
            failures[case.name] = str(error)
    return Surveyed(surveys, failures)


def _check_scans(cases: Mapping[str, Case], surveyed: Surveyed) -> None:
    """Checks that there are at least two scans, of one modality as far as one can tell.

    A `SuspiciousInputWarning` names scans that are given twice.
    """
    if len(cases) < 2:
        first = next(iter(surveyed.failures.values()), "")
        raise InputError(
            about="scans of the template",
            expected="at least two that can be read",
            got=f"{len(cases)} ({first})" if first else len(cases),
        )
    are_ct = {name: surveyed.surveys[name].is_ct for name in cases}
    if len(set(are_ct.values())) > 1:
        ct = next(name for name, is_ct in are_ct.items() if is_ct)
        other = next(name for name, is_ct in are_ct.items() if not is_ct)
        raise InputError(
            about="scans of the template",
            expected="scans of one modality",
            got=f"CT, such as {ct}, and others, such as {other}",
            advice="list those of one modality in a manifest",
        )
    digests = {name: content_digest(case.image) for name, case in cases.items()}
    counts = Counter(digests.values())
    if twice := [name for name, digest in digests.items() if counts[digest] > 1]:
        text = f"{', '.join(twice)}: among these, one scan is given several times"
        warnings.warn(text, SuspiciousInputWarning, stacklevel=3)


def _check_enough(registered: Registered, folder: Path, *, besides: int = 0) -> None:
    """Checks that there are at least two scans to average.

    Raises:
        InputError: If there are not; it says why the first one is left out.
    """
    count = len(registered.transforms) + besides
    if count >= _FEWEST:
        return
    name, reason = next(iter(registered.left_out.items()), ("none", "no other scan"))
    raise InputError(
        about=folder,
        expected="at least two scans that can be registered to the template",
        got=f"{count} ({name}: {reason})",
        advice="see pairs.csv there; another --start or --model may help",
    )
