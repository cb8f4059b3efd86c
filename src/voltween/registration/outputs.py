"""The files of a registration: which there are, and how each is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voltween import io
from voltween.errors import InputError
from voltween.registration.overview import write_overview
from voltween.registration.result import Registration
from voltween.registration.timing import Seconds, timing
from voltween.spatial import LabelMap

RECORD = "registration.json"
"""The file that every result has: its figures and its origin."""


@dataclass(frozen=True, eq=False)
class LabeledResult:
    """A registration with the label maps of its scans, if there are any."""

    registration: Registration
    fixed_labels: LabelMap | None = None
    moving_labels: LabelMap | None = None

    @property
    def moved_labels(self) -> LabelMap:
        """The moving label map on the fixed scan's grid.

        Raises:
            InputError: If there are no moving labels.
        """
        if self.moving_labels is None:
            raise InputError(
                about="output labels", expected="a moving label map", got="none"
            )
        fixed = self.registration.fixed
        transform = self.registration.fixed_to_moving
        return transform.resample(self.moving_labels, onto=fixed.grid)


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
    """Writes that to a path."""


def _write_field(result: LabeledResult, path: Path) -> None:
    registration = result.registration
    io.write_field(registration.fixed_to_moving, registration.fixed.grid, path)


def _write_overview(result: LabeledResult, path: Path) -> None:
    write_overview(
        result.registration,
        path,
        fixed_labels=result.fixed_labels,
        moving_labels=result.moving_labels,
    )


OUTPUTS = {
    "moved": Output("moved.nii.gz", "resampling", lambda r: r.registration.moved),
    "labels": Output("moved_labels.nii.gz", "labels", lambda r: r.moved_labels),
    "transform": Output(
        "fixed_to_moving.h5", "transform", lambda r: r.registration.fixed_to_moving
    ),
    "field": Output("fixed_to_moving.nii.gz", "field", lambda r: r, _write_field),
    "inverse": Output(
        "moving_to_fixed.h5", "inverse", lambda r: r.registration.moving_to_fixed
    ),
    "overview": Output("overview.png", "overview", lambda r: r, _write_overview),
    "jacobian": Output(
        "jacobian.nii.gz", "jacobian", lambda r: r.registration.jacobian
    ),
}
"""Every file beside `RECORD`, by its name as an option, in the order of writing."""

FILES = frozenset({RECORD, *(output.file for output in OUTPUTS.values())})
"""All files that a result may have. Other files of a folder are not its own."""


def choose_outputs(
    wanted: Sequence[str] | None, *, has_moving_labels: bool
) -> dict[str, Output]:
    """The wanted outputs by name.

    By default all but the Jacobian determinant; moved labels if there are any.

    Raises:
        InputError: If a name is unknown, or moved labels are wanted without labels.
    """
    if wanted is None:
        left_out = {"jacobian"} if has_moving_labels else {"jacobian", "labels"}
        return {n: output for n, output in OUTPUTS.items() if n not in left_out}
    if unknown := [name for name in wanted if name not in OUTPUTS]:
        raise InputError(
            about="outputs", expected=f"names of {', '.join(OUTPUTS)}", got=unknown[0]
        )
    if "labels" in wanted and not has_moving_labels:
        raise InputError(
            about="output labels", expected="a moving label map", got="none"
        )
    return {name: output for name, output in OUTPUTS.items() if name in wanted}


def write_outputs(
    outputs: dict[str, Output], result: LabeledResult, folder: Path
) -> dict[str, Seconds]:
    """Writes the files to a folder; returns the time that computing each took.

    Raises:
        OutputError: If a file cannot be written.
    """
    seconds: dict[str, Seconds] = {}
    for output in outputs.values():
        with timing(seconds, output.step):
            content = output.compute(result)
        output.write(content, folder / output.file)
    return seconds
