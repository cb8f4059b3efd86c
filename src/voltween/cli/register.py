"""The command that registers a pair."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro
from tyro.conf import Positional

from voltween import io
from voltween.cli import console
from voltween.errors import InputError
from voltween.losses import Similarity
from voltween.models import Model, load_model
from voltween.networks import Precision
from voltween.refinement import ALONE, REFINEMENTS, WITHOUT_MODEL, Effort, Refinement
from voltween.registration import Guidance, register, write_registration
from voltween.spatial import LabelMap, Points

DEFAULT_MODEL = "brain"


@dataclass(frozen=True)
class Refine:
    """How the transform is sought on the pair itself; any of these asks for it."""

    refine: Effort | int | None = None
    """Seek further on this pair: fast takes a few times as long as the network,
    accurate a few times that; or give a number of steps. If not given: accurate where
    --model is none or an option below is given, else nothing."""
    similarity: Annotated[
        Similarity | None,
        tyro.conf.arg(metavar="{" + ", ".join(get_args(Similarity)) + "}"),
    ] = None
    """What makes images alike; if not given, local correlation. For two modalities,
    such as T1 and T2, or CT and MR: normalized mutual information, or MIND-SSC."""
    voxels: float | Literal["own"] | None = None
    """Voxel size to seek on, in mm, or the fixed scan's own; if not given, the
    model's."""
    diffeomorphic: bool = False
    """Seek a velocity field: smooth, without folds, with an inverse as good as it."""
    symmetric: bool = False
    """Diffeomorphic, and images compared in both directions."""
    seconds: float | None = None
    """End when so long has passed, with what is found until then."""
    fixed_mask: Path | None = None
    """Label map: only voxels > 0 of the fixed scan count (lesions, field of view)."""
    moving_mask: Path | None = None
    """Likewise of the moving scan."""
    fixed_points: Path | None = None
    """Landmarks (.csv, .fcsv, .mrk.json) of the fixed scan, to go to those of the
    moving scan of the same name, or in the same order."""
    moving_points: Path | None = None
    """Landmarks of the moving scan."""
    guide_by_labels: bool = False
    """Lay the structures of --fixed-labels and --moving-labels on one another, too; the
    overlap measured afterwards is then no independent one."""
    fixed_channels: tuple[Path, ...] = ()
    """Further images of the fixed scan's session, such as T2, to compare as well."""
    moving_channels: tuple[Path, ...] = ()
    """Those of the moving scan, in the same order."""
    channel_weights: tuple[float, ...] = ()
    """Of the scans and the further images; if not given, all alike."""

    def refinement(self, *, has_model: bool) -> Refinement | None:
        """What was asked for; None if nothing was."""
        if has_model and self == Refine():
            return None
        efforts = REFINEMENTS if has_model else ALONE
        if isinstance(self.refine, int):
            usual = efforts["accurate"].with_steps(self.refine)
        else:
            usual = efforts[self.refine or "accurate"]
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
        """What the files say."""
        if self.guide_by_labels and fixed_labels is None:
            raise InputError(
                "--guide-by-labels needs --fixed-labels and --moving-labels"
            )
        return Guidance(
            fixed_mask=_labels(self.fixed_mask),
            moving_mask=_labels(self.moving_mask),
            fixed_labels=fixed_labels if self.guide_by_labels else None,
            moving_labels=moving_labels if self.guide_by_labels else None,
            fixed_points=_points(self.fixed_points),
            moving_points=_points(self.moving_points),
            fixed_channels=tuple(io.read(path) for path in self.fixed_channels),
            moving_channels=tuple(io.read(path) for path in self.moving_channels),
        )


@tyro.conf.configure(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True)
class Register:
    """Register MOVING to FIXED and write the results into a folder.

    Scans may be NIfTI, NRRD, MetaImage or a DICOM folder, of any orientation and
    spacing. Written: moved.nii.gz (moving on the fixed grid), fixed_to_moving.h5 and
    .nii.gz (ITK transform and displacement field), moving_to_fixed.h5,
    registration.json (figures), overview.png (look at it), moved_labels.nii.gz.
    """

    fixed: Annotated[Positional[Path], tyro.conf.arg(metavar="FIXED")]
    """Scan to register to."""
    moving: Annotated[Positional[Path], tyro.conf.arg(metavar="MOVING")]
    """Scan to be registered."""
    out: Path
    """Folder for the results; made if missing."""
    model: str | None = None
    """Shipped model (see `voltween models`) or model file; if not given, brain. With
    none, the transform is sought on the pair alone: any anatomy, no training."""
    fixed_labels: Path | None = None
    """Label map of the fixed scan, to measure the overlap."""
    moving_labels: Path | None = None
    """Label map of the moving scan, to be moved along."""
    no_folding: bool = False
    """Change the transform around folds until no voxel of the fixed scan folds."""
    precision: Precision = "fp32"
    """Of the network's features: bf16 is faster on processors with AMX, and differs by
    hundredths of a voxel; auto takes it where it is faster."""
    refinement: Annotated[Refine, tyro.conf.arg(name="")] = Refine()

    def run(self) -> None:
        """Register and write."""
        if self.model is None:
            console.console.print(
                f"No --model given: using the model {DEFAULT_MODEL!r}."
            )
        if self.fixed_labels and not self.moving_labels:
            raise InputError("--fixed-labels measures nothing without --moving-labels")
        model = self._model()
        refinement = self.refinement.refinement(has_model=model is not None)
        fixed, moving = io.read(self.fixed), io.read(self.moving)
        labels = _labels(self.fixed_labels), _labels(self.moving_labels)
        guidance = self.refinement.guidance(*labels)
        with console.refinement_progress() as on_step:
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
                registration, self.out, fixed_labels=labels[0], moving_labels=labels[1]
            )
        console.show_figures(figures)
        console.console.print(f"Look at {self.out / 'overview.png'}")

    def _model(self) -> Model | None:
        if self.model == WITHOUT_MODEL:
            return None
        model = load_model(self.model or DEFAULT_MODEL)
        return replace(model, precision=self.precision)


def _labels(path: Path | None) -> LabelMap | None:
    return None if path is None else io.read_labels(path)


def _points(path: Path | None) -> Points | None:
    return None if path is None else io.read_points(path)
