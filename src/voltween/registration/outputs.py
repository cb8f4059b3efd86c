"""The files of a registration: which there are, and how each is made."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image as Picture

from voltween import io
from voltween.errors import InputError
from voltween.registration.overview import paint_overview, write_picture
from voltween.registration.result import Registration
from voltween.registration.timing import Seconds, timing
from voltween.registration.writing_behind import Writer
from voltween.reports import Crop, scans_to_show
from voltween.spatial import LabelMap, Points

T = TypeVar("T")

RECORD = "registration.json"
"""The file that every result has: its figures and its origin."""

REPORT = "report"
"""The output that shows the record, and is made after it."""


@dataclass(frozen=True, eq=False)
class Carried:
    """Label maps and points of a pair, which are carried from one scan to the other."""

    fixed_labels: LabelMap | None = None
    moving_labels: LabelMap | None = None
    fixed_points: Points | None = None
    moving_points: Points | None = None

    @property
    def names(self) -> set[str]:
        """The names of what there is."""
        return {name for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, eq=False)
class LabeledResult:
    """A registration with what is carried from one of its scans to the other."""

    registration: Registration
    carried: Carried = field(default_factory=Carried)
    crop: Crop = "none"
    """The part of the scans that pictures show."""
    report: Callable[[], str] = str
    """Returns the report as HTML; empty as long as there is no record."""

    @property
    def moved_labels(self) -> LabelMap:
        """The moving label map on the fixed scan's grid."""
        labels = _present(self.carried.moving_labels)
        onto = self.registration.fixed.grid
        return self.registration.fixed_to_moving.resample(labels, onto=onto)

    @property
    def carried_labels(self) -> LabelMap:
        """The fixed label map on the moving scan's grid."""
        labels = _present(self.carried.fixed_labels)
        onto = self.registration.moving.grid
        return self.registration.moving_to_fixed.resample(labels, onto=onto)

    @property
    def moved_points(self) -> Points:
        """The points of the moving scan in the fixed scan, RAS+ mm."""
        points = _present(self.carried.moving_points)
        return self.registration.moving_to_fixed.map_points(points)

    @property
    def carried_points(self) -> Points:
        """The points of the fixed scan in the moving scan, RAS+ mm."""
        points = _present(self.carried.fixed_points)
        return self.registration.fixed_to_moving.map_points(points)


def _present(value: T | None) -> T:
    """The value, which `choose_outputs` has made sure of."""
    assert value is not None
    return value


@dataclass(frozen=True)
class Output:
    """A file of a result, which is computed only if it is wanted."""

    file: str
    """Its name."""
    step: str
    """Name of the time that computing its content takes."""
    compute: Callable[[LabeledResult], Any]
    """Computes what the file holds. What the registration keeps takes no time."""
    write: Callable[[Any, Path], object] = io.write
    """Writes that to a path, by a thread, while the next file is computed."""
    needs: str = ""
    """The part of `Carried` without which there is no such file."""


def _write_field(result: LabeledResult, path: Path) -> None:
    registration = result.registration
    io.write_field(registration.fixed_to_moving, registration.fixed.grid, path)


def _paint_overview(result: LabeledResult) -> Picture.Image:
    registration, carried = result.registration, result.carried
    labels = carried.fixed_labels, carried.moving_labels
    scans = registration.fixed, registration.moving
    return paint_overview(
        registration,
        shown=scans_to_show(scans, labels, result.crop),
        fixed_labels=carried.fixed_labels,
        moving_labels=carried.moving_labels,
    )


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


OUTPUTS = {
    "moved": Output("moved.nii.gz", "resampling", lambda r: r.registration.moved),
    "labels": Output(
        "moved_labels.nii.gz",
        "labels",
        lambda r: r.moved_labels,
        needs="moving_labels",
    ),
    "transform": Output(
        "fixed_to_moving.h5",
        "transform",
        lambda r: r.registration.fixed_to_moving,
        io.write_small,
    ),
    "field": Output("fixed_to_moving.nii.gz", "field", lambda r: r, _write_field),
    "inverse": Output(
        "moving_to_fixed.h5",
        "inverse",
        lambda r: r.registration.moving_to_fixed,
        io.write_small,
    ),
    "overview": Output("overview.png", "overview", _paint_overview, write_picture),
    "jacobian": Output(
        "jacobian.nii.gz", "jacobian", lambda r: r.registration.jacobian
    ),
    "carried-labels": Output(
        "carried_labels.nii.gz",
        "carried labels",
        lambda r: r.carried_labels,
        needs="fixed_labels",
    ),
    "carried-points": Output(
        "carried_points.csv",
        "carried points",
        lambda r: r.carried_points,
        needs="fixed_points",
    ),
    "moved-points": Output(
        "moved_points.csv",
        "moved points",
        lambda r: r.moved_points,
        needs="moving_points",
    ),
    REPORT: Output("report.html", "report", lambda r: r.report(), _write_text),
}
"""Every file beside `RECORD`, by its name as an option, in the order of writing."""

_ON_REQUEST = {"field", "jacobian"}

FILES = frozenset({RECORD, *(output.file for output in OUTPUTS.values())})
"""All files that a result may have. Other files of a folder are not its own."""


def check_outputs(wanted: Iterable[str]) -> None:
    """Checks the names of wanted outputs.

    Raises:
        InputError: If one is unknown.
    """
    if unknown := [name for name in wanted if name not in OUTPUTS]:
        raise InputError(
            about="outputs", expected=f"names of {', '.join(OUTPUTS)}", got=unknown[0]
        )


def choose_outputs(
    wanted: Sequence[str] | None, *, has: Collection[str]
) -> dict[str, Output]:
    """The wanted outputs by name; `has` are the parts of `Carried` that there are.

    By default they are all but the Jacobian determinant and the displacement field,
    which the transform contains, as far as their parts are there.

    Raises:
        InputError: If a name is unknown, or one needs a part that is not there.
    """
    if wanted is None:
        return {
            name: output
            for name, output in OUTPUTS.items()
            if name not in _ON_REQUEST and (not output.needs or output.needs in has)
        }
    check_outputs(wanted)
    chosen = {name: output for name, output in OUTPUTS.items() if name in wanted}
    for name, output in chosen.items():
        if output.needs and output.needs not in has:
            kind = output.needs.replace("_", " ")
            raise InputError(about=f"output {name}", expected=kind, got="none")
    return chosen


def write_outputs(
    outputs: dict[str, Output], result: LabeledResult, folder: Path, writer: Writer
) -> dict[str, Seconds]:
    """Lets the files be written to a folder; returns the time that computing each took.

    Raises:
        OutputError: If an earlier file cannot be written.
    """
    seconds: dict[str, Seconds] = {}
    for output in outputs.values():
        with timing(seconds, output.step):
            content = output.compute(result)
        writer.write(output.write, content, folder / output.file)
    return seconds
