"""Command: register a pair."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import matmul
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro
from rich.text import Text
from tyro.conf import Positional

from voltween import io
from voltween.cli.console import changing_line, console
from voltween.cli.invocation import named_paths, words
from voltween.cohorts import read_structures
from voltween.errors import InputError
from voltween.losses import Similarity
from voltween.models import weights_digest
from voltween.networks import Precision
from voltween.refinement import Effort, Step, TransformKind, choose_refinement
from voltween.registration import (
    AUTO,
    Guidance,
    Origin,
    RefinementChoice,
    SettledModel,
    Side,
    check_registration_folder,
    choose_outputs,
    recording_warnings,
    register,
    settle_model,
    write_registration,
)
from voltween.spatial import (
    Grid,
    LabelMap,
    Points,
    Transform,
    check_labels_on_scan,
)

_EXIT_FAILED = 3
_SHOWN_SECONDS = 0.005


@dataclass(frozen=True)
class Refine:
    """Options of the instance optimization; any of them switches it on."""

    refine: Effort | Literal["auto", "none"] | int = "auto"
    """Optimize the transform on this pair: fast takes a few times as long as the
    network, accurate a few times longer; or give a number of steps. With none, the
    network's answer stays. auto is what gains most with the model (`voltween models`),
    and accurate if an option below is given."""
    transform: TransformKind = "deformable"
    """Kind of transform that is wanted. rigid, similarity and affine are optimized from
    the network's answer, or from a search without a model."""
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
    the moving scan with the same name, or in the same order if one side has no
    names."""
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

    def choice(self, *, has_model: bool) -> RefinementChoice:
        """The refinement that the options ask for; "auto" if none was given.

        Raises:
            InputError: If options of a refinement are given, but none is wanted.
        """
        if self == Refine():
            return AUTO
        if self.refine == "none":
            if self != Refine("none"):
                raise InputError(
                    about="--refine none",
                    expected="no option of a refinement beside it",
                    got="some",
                    advice="leave --refine out, or the other options",
                )
            return None
        effort = None if self.refine == "auto" else self.refine
        usual = choose_refinement(effort, has_model=has_model, transform=self.transform)
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
        self,
        fixed_labels: LabelMap | None,
        moving_labels: LabelMap | None,
        *,
        grids: tuple[Grid, Grid],
    ) -> Guidance:
        """Masks, landmarks, labels and further images, read from their files."""
        if self.guide_by_labels and fixed_labels is None:
            raise InputError(
                about="--guide-by-labels",
                expected="--fixed-labels and --moving-labels",
                got="not both",
            )
        fixed = Side(
            mask=_labels(self.fixed_mask, grids[0]),
            labels=fixed_labels if self.guide_by_labels else None,
            points=_points(self.fixed_points),
            channels=tuple(io.read(path) for path in self.fixed_channels),
        )
        moving = Side(
            mask=_labels(self.moving_mask, grids[1]),
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
    with labels, moved_labels.nii.gz. An earlier result in the folder, which has a
    registration.json, is replaced as a whole: all of these files are deleted, and
    others stay. Files that the command reads are never written over.
    """

    fixed: Annotated[Positional[Path], tyro.conf.arg(metavar="FIXED")]
    """Scan to register to."""
    moving: Annotated[Positional[Path], tyro.conf.arg(metavar="MOVING")]
    """Scan to be registered."""
    out: Path
    """Folder for the results; made if missing."""
    model: str = AUTO
    """Shipped model (see `voltween models`) or model file. auto takes the shipped model
    that learned from such scans, or none. With none, the transform is optimized on the
    pair alone, for any anatomy."""
    initial: tuple[Path, ...] = ()
    """Transforms, fixed to moving, to start from; of several, the last one is applied
    to fixed positions first. Without any, the poses of the scans are found."""
    strict: bool = False
    """End with exit code 3 if the verdict is failed."""
    fixed_labels: Path | None = None
    """Label map of the fixed scan, for measuring the overlap."""
    moving_labels: Path | None = None
    """Label map of the moving scan, which is resampled with it."""
    structures: Path | None = None
    """CSV with columns label and name, for the names of structures in
    registration.json."""
    outputs: str | None = None
    """Files to write beside registration.json, separated by commas: moved, labels
    (moved_labels.nii.gz), transform, field (fixed_to_moving.nii.gz), inverse, overview,
    jacobian; if not given, all but jacobian. What is left out is not computed."""
    jacobian: bool = False
    """Write jacobian.nii.gz, too: jacobian among --outputs."""
    no_folding: bool = False
    """Smooth the transform around folds until no voxel of the fixed scan folds."""
    precision: Precision = "fp32"
    """Precision of the network's features: bf16 is faster on processors with AMX and
    differs by hundredths of a voxel; auto uses it where it is faster."""
    refinement: Annotated[Refine, tyro.conf.arg(name="")] = Refine()

    def run(self) -> None:
        """Register and write."""
        with recording_warnings() as warnings:
            figures = self._register(warnings)
        _show(figures)
        if "overview.png" in figures["outputs"]:
            console.print(f"Check {self.out / 'overview.png'}")
        if self.strict and figures["verdict"]["grade"] == "failed":
            raise SystemExit(_EXIT_FAILED)

    def _register(self, warnings: list[str]) -> dict[str, Any]:
        """Registers and writes; returns the content of registration.json."""
        check_registration_folder(self.out)
        outputs = self._outputs()
        structures = read_structures(self.structures) if self.structures else {}
        if self.fixed_labels and not self.moving_labels:
            raise InputError(
                about="--fixed-labels", expected="--moving-labels too", got="none"
            )
        fixed, moving = io.read(self.fixed), io.read(self.moving)
        settled = settle_model(self.model, fixed, moving)
        if self.model == AUTO:
            console.print(f"Model: {settled.name} ({settled.reason}).")
        model = settled.model
        if model is not None:
            model = replace(model, precision=self.precision)
        labels = (
            _labels(self.fixed_labels, fixed.grid),
            _labels(self.moving_labels, moving.grid),
        )
        guidance = self.refinement.guidance(*labels, grids=(fixed.grid, moving.grid))
        guidance = replace(guidance, initial=self._initial())
        with _progress() as on_step:
            registration = register(
                fixed,
                moving,
                model=settled._replace(model=model),
                refinement=self.refinement.choice(has_model=model is not None),
                guidance=guidance,
                on_step=on_step,
            )
            if self.no_folding:
                registration = registration.without_folding()
            return write_registration(
                registration,
                self.out,
                outputs=outputs,
                fixed_labels=labels[0],
                moving_labels=labels[1],
                origin=self._origin(settled, structures, warnings),
            )

    def _outputs(self) -> list[str] | None:
        """The names of the wanted outputs; None for all."""
        has_labels = bool(self.moving_labels)
        words = None if self.outputs is None else self.outputs.split(",")
        names = words and [word.strip() for word in words if word.strip()]
        chosen = [*choose_outputs(names, has_moving_labels=has_labels)]
        return [*chosen, "jacobian"] if self.jacobian else chosen

    def _origin(
        self,
        settled: SettledModel,
        structures: dict[int, str],
        warnings: list[str],
    ) -> Origin:
        """The origin of the result, for registration.json."""
        name = settled.name if self.model == AUTO else self.model
        digest = weights_digest(name) if settled.model else None
        inputs = named_paths(self)
        return Origin(inputs, digest, words.get(), warnings, structures)

    def _initial(self) -> Transform | None:
        """The initial transforms, composed."""
        if not self.initial:
            return None
        return reduce(matmul, [io.read_transform(path) for path in self.initial])


def _labels(path: Path | None, scan: Grid) -> LabelMap | None:
    """The label map of a scan, checked to lie on it."""
    if path is None:
        return None
    labels = io.read_labels(path)
    check_labels_on_scan(labels, scan, name=path)
    return labels


def _points(path: Path | None) -> Points | None:
    return None if path is None else io.read_points(path)


@contextmanager
def _progress() -> Iterator[Callable[[Step], None]]:
    """Shows the stage of a registration; yields the function to call at every step."""
    with changing_line("Registering ...") as show:

        def on_step(progress: Step) -> None:
            show(
                f"Refining: {progress.part}, level {progress.level} of "
                f"{progress.levels}, step {progress.step} of {progress.steps}, "
                f"similarity loss {progress.similarity_loss:.4f} ..."
            )

        yield on_step


def _show(figures: dict[str, Any]) -> None:
    """Shows the verdict and the quality figures of registration.json."""
    verdict = figures["verdict"]
    reasons = "; ".join(verdict["reasons"]) or "nothing speaks against it"
    color = {"good": "green", "doubtful": "yellow", "failed": "red"}[verdict["grade"]]
    grade = f"Verdict: {verdict['grade']}", f"bold {color}"
    console.print(Text.assemble(grade, f" ({reasons})."))
    correlation = figures["correlation"]
    console.print(
        f"Correlation with the fixed image: {correlation['before']:.3f} before "
        f"(centers aligned), {correlation['after']:.3f} after. "
        f"Folding: {figures['folding_percent']:.3g} % of the fixed scan's voxels."
    )
    if "mean_dice" in figures:
        stages = ", ".join(f"{n} {d:.3f}" for n, d in figures["mean_dice"].items())
        console.print(f"Mean Dice over shared labels: {stages}.")
    if (error_mm := figures["round_trip_error_mm"]) is not None:
        console.print(
            "Error of the inverse, over the fixed scan's foreground: "
            f"{error_mm['median']:.3g} mm (median), {error_mm['percentile_95']:.3g} mm "
            f"(95th percentile), at most {error_mm['largest']:.3g} mm."
        )
    wall, processor = (figures["seconds"][clock] for clock in ("wall", "processor"))
    parts = ", ".join(f"{n} {s:.2f} s" for n, s in wall.items() if s >= _SHOWN_SECONDS)
    console.print(
        f"Wall time: {sum(wall.values()):.2f} s ({parts}). Processor time, summed over "
        f"threads: {sum(processor.values()):.2f} s."
    )
