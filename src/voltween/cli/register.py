"""Command: register a pair."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro
from tyro.conf import Positional

from voltween import io
from voltween.cli.console import console
from voltween.errors import InputError
from voltween.losses import Similarity
from voltween.models import Model, load_model
from voltween.networks import Precision
from voltween.refinement import (
    WITHOUT_MODEL,
    Effort,
    Refinement,
    Step,
    choose_refinement,
)
from voltween.registration import Guidance, Side, register, write_registration
from voltween.spatial import LabelMap, Points

DEFAULT_MODEL = "brain"


@dataclass(frozen=True)
class Refine:
    """Options of the instance optimization; any of them switches it on."""

    refine: Effort | int | None = None
    """Optimize the transform on this pair: fast takes a few times as long as the
    network, accurate a few times longer; or give a number of steps. If not given:
    accurate if --model is none or an option below is given, else no optimization."""
    similarity: Annotated[
        Similarity | None,
        tyro.conf.arg(metavar="{" + ", ".join(get_args(Similarity)) + "}"),
    ] = None
    """Similarity of the images; if not given, local correlation. For two modalities,
    such as T1 and T2, or CT and MR: normalized mutual information, or MIND-SSC."""
    voxels: float | Literal["own"] | None = None
    """Voxel size of the optimization in mm, or own for that of the fixed scan; if not
    given, that of the model."""
    diffeomorphic: bool = False
    """Optimize a velocity field: smooth, without folds, with an accurate inverse."""
    symmetric: bool = False
    """Diffeomorphic, with images compared in both directions."""
    seconds: float | None = None
    """Stop after this many seconds and keep the best result so far."""
    fixed_mask: Path | None = None
    """Label map: only voxels > 0 of the fixed scan count (to exclude lesions, or
    regions outside the field of view)."""
    moving_mask: Path | None = None
    """The same for the moving scan."""
    fixed_points: Path | None = None
    """Landmarks (.csv, .fcsv, .mrk.json) of the fixed scan, to be mapped to those of
    the moving scan with the same name, or in the same order."""
    moving_points: Path | None = None
    """Landmarks of the moving scan."""
    guide_by_labels: bool = False
    """Align the structures of --fixed-labels and --moving-labels too; the overlap
    measured afterwards is then not independent."""
    fixed_channels: tuple[Path, ...] = ()
    """Further images of the fixed scan's session, such as T2, to be compared too."""
    moving_channels: tuple[Path, ...] = ()
    """Further images of the moving scan, in the same order."""
    channel_weights: tuple[float, ...] = ()
    """Weights of the scans and of the further images; if not given, equal weights."""

    def refinement(self, *, has_model: bool) -> Refinement | None:
        """The refinement that the options ask for; None if none was given."""
        if has_model and self == Refine():
            return None
        usual = choose_refinement(self.refine, has_model=has_model)
        changes: dict[str, Any] = (
            {"similarity": self.similarity} if self.similarity else {}
        )
        return replace(
            usual,
            **changes,
            spacing_mm=self.voxels,
            diffeomorphic=self.diffeomorphic or self.symmetric,
            symmetric=self.symmetric,
            seconds=self.seconds,
            channel_weights=self.channel_weights,
        )

    def guidance(
        self, fixed_labels: LabelMap | None, moving_labels: LabelMap | None
    ) -> Guidance:
        """Masks, landmarks, labels and further images, read from their files."""
        if self.guide_by_labels and fixed_labels is None:
            raise InputError(
                about="--guide-by-labels",
                expected="--fixed-labels and --moving-labels",
                got="not both",
            )
        fixed = Side(
            mask=_labels(self.fixed_mask),
            labels=fixed_labels if self.guide_by_labels else None,
            points=_points(self.fixed_points),
            channels=tuple(io.read(path) for path in self.fixed_channels),
        )
        moving = Side(
            mask=_labels(self.moving_mask),
            labels=moving_labels if self.guide_by_labels else None,
            points=_points(self.moving_points),
            channels=tuple(io.read(path) for path in self.moving_channels),
        )
        return Guidance(fixed, moving)


@tyro.conf.configure(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True)
class Register:
    """Register MOVING to FIXED and write the results to a folder.

    Scans may be NIfTI, NRRD, MetaImage or a DICOM folder, of any orientation and
    spacing. It writes moved.nii.gz (moving on the fixed grid), fixed_to_moving.h5 and
    .nii.gz (ITK transform and displacement field), moving_to_fixed.h5,
    registration.json (quality figures), overview.png (a picture to check by eye) and,
    with labels, moved_labels.nii.gz.
    """

    fixed: Annotated[Positional[Path], tyro.conf.arg(metavar="FIXED")]
    """Scan to register to."""
    moving: Annotated[Positional[Path], tyro.conf.arg(metavar="MOVING")]
    """Scan to be registered."""
    out: Path
    """Folder for the results; made if missing."""
    model: str | None = None
    """Shipped model (see `voltween models`) or model file; if not given, brain. With
    none, the transform is optimized on the pair alone, for any anatomy."""
    fixed_labels: Path | None = None
    """Label map of the fixed scan, for measuring the overlap."""
    moving_labels: Path | None = None
    """Label map of the moving scan, which is resampled with it."""
    no_folding: bool = False
    """Smooth the transform around folds until no voxel of the fixed scan folds."""
    jacobian: bool = False
    """Write jacobian.nii.gz as well: the volume change at every voxel of the fixed
    scan, affine part included; `voltween jacobian` writes its logarithm, too."""
    precision: Precision = "fp32"
    """Precision of the network's features: bf16 is faster on processors with AMX and
    differs by hundredths of a voxel; auto uses it where it is faster."""
    refinement: Annotated[Refine, tyro.conf.arg(name="")] = Refine()

    def run(self) -> None:
        """Register and write."""
        if self.model is None:
            console.print(f"No --model given: using the model {DEFAULT_MODEL!r}.")
        if self.fixed_labels and not self.moving_labels:
            raise InputError(
                about="--fixed-labels", expected="--moving-labels too", got="none"
            )
        model = self._model()
        refinement = self.refinement.refinement(has_model=model is not None)
        fixed, moving = io.read(self.fixed), io.read(self.moving)
        labels = _labels(self.fixed_labels), _labels(self.moving_labels)
        guidance = self.refinement.guidance(*labels)
        with _progress() as on_step:
            registration = register(
                fixed,
                moving,
                model=model,
                refinement=refinement,
                guidance=guidance,
                on_step=on_step,
            )
            if self.no_folding:
                registration = registration.without_folding()
            figures = write_registration(
                registration,
                self.out,
                fixed_labels=labels[0],
                moving_labels=labels[1],
                jacobian=self.jacobian,
            )
        _show(figures)
        console.print(f"Check {self.out / 'overview.png'}")

    def _model(self) -> Model | None:
        if self.model == WITHOUT_MODEL:
            return None
        model = load_model(self.model or DEFAULT_MODEL)
        return replace(model, precision=self.precision)


def _labels(path: Path | None) -> LabelMap | None:
    return None if path is None else io.read_labels(path)


def _points(path: Path | None) -> Points | None:
    return None if path is None else io.read_points(path)


@contextmanager
def _progress() -> Iterator[Callable[[Step], None]]:
    """Shows the stage of a registration; yields the function to call at every step."""
    with console.status("Registering ...") as status:

        def on_step(progress: Step) -> None:
            status.update(
                f"Refining: {progress.part}, level {progress.level} of "
                f"{progress.levels}, step {progress.step} of {progress.steps}, "
                f"similarity loss {progress.similarity_loss:.4f} ..."
            )

        yield on_step


def _show(figures: dict[str, Any]) -> None:
    """Shows the quality figures of registration.json."""
    correlation = figures["correlation"]
    console.print(
        f"Correlation with the fixed image: {correlation['before']:.3f} before "
        f"(centers aligned), {correlation['after']:.3f} after. "
        f"Folding: {figures['folding_percent']:.3g} % of the fixed scan's voxels."
    )
    if "mean_dice" in figures:
        stages = ", ".join(f"{n} {d:.3f}" for n, d in figures["mean_dice"].items())
        console.print(f"Mean Dice over shared labels: {stages}.")
    seconds = figures["seconds"]
    times = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    console.print(f"Time: {times}.")
