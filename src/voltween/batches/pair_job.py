"""The registration of two scans from their files into a folder: one unit of work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import matmul
from pathlib import Path
from typing import Any

from voltween import io
from voltween.batches.companions import Companions
from voltween.batches.kept_files import kept_file
from voltween.batches.kept_model import kept_model
from voltween.batches.label_names import names_of_pair, number_by_names
from voltween.batches.options import RegistrationOptions
from voltween.errors import InputError
from voltween.models import weights_digest
from voltween.refinement import Step
from voltween.registration import (
    AUTO,
    Carried,
    Guidance,
    Origin,
    RefinementChoice,
    Registration,
    SettledModel,
    Side,
    begin_part,
    check_registration_folder,
    choose_outputs,
    recording_warnings,
    register,
    settle_model,
    shown_alike,
    write_registration,
)
from voltween.spatial import (
    Grid,
    Image,
    LabelMap,
    Points,
    Transform,
    check_labels_on_scan,
)
from voltween.storage import PathLike

OnStep = Callable[[Step], object]
OnRegistered = Callable[[Registration, Carried], object]


@dataclass(frozen=True)
class PairJob:
    """Two scans to be registered: their files and how."""

    fixed: Path
    moving: Path
    companions: Companions = field(default_factory=Companions)
    options: RegistrationOptions = field(default_factory=RegistrationOptions)
    points_guide: bool = False
    """Whether landmarks of both scans are aligned, and not only carried along."""
    volume: int | None = None
    """Number of the volume, from 0, to take of a scan that is a 4D image."""

    @property
    def inputs(self) -> dict[str, list[Path]]:
        """All files that are read, by their roles, without the model."""
        structures = self.options.structures
        return {
            "fixed": [self.fixed],
            "moving": [self.moving],
            **dict(self.companions.by_role()),
            **({"structures": [structures]} if structures else {}),
        }

    @property
    def has_guidance(self) -> bool:
        """Whether masks, landmarks or further images guide the refinement."""
        files = self.companions
        masks = files.fixed_mask or files.moving_mask
        channels = files.fixed_channels or files.moving_channels
        points = self.points_guide and (files.fixed_points or files.moving_points)
        return bool(masks or channels or points)

    @property
    def carried_parts(self) -> set[str]:
        """The names of the parts of `Carried` that the files hold."""
        files = vars(self.companions)
        return {name for name in vars(Carried()) if files[name] is not None}

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs.

        Raises:
            InputError: If a name is unknown, or one needs a file that was not given.
        """
        names = self.options.names_of_outputs
        chosen = [*choose_outputs(names, has=self.carried_parts)]
        return [*chosen, "jacobian"] if self.options.jacobian else chosen


def register_files(
    job: PairJob,
    out: PathLike,
    *,
    command: Sequence[str] = (),
    on_step: OnStep = lambda step: None,
    on_registered: OnRegistered = lambda registration, carried: None,
) -> dict[str, Any]:
    """Registers two scans and writes the result; returns registration.json's content.

    Args:
        job: The scans and the options.
        out: The folder for the result; see `write_registration`.
        command: The words of the command, for registration.json.
        on_step: Called after each step of the refinement.
        on_registered: Called with the registration, and with the label maps and points
            of its scans, before it is written.

    Raises:
        InputError: If a file cannot be used, or as `register`.
        OutputError: If the folder cannot be written to.
    """
    with recording_warnings() as warnings:
        check_registration_folder(out)
        outputs, structures = job.outputs, _structures(job)
        begin_part("reading")
        fixed, moving = _read_scans(job)
        options = job.options
        load = partial(kept_model, precision=options.precision, device=options.device)
        carried = _read_carried(job.companions, fixed.grid, moving.grid)
        guidance = _read_guidance(job, carried, fixed.grid, moving.grid)
        model = job.options.model
        alike = shown_alike(fixed, moving, guidance, model=model, load=load)
        settled = settle_model(model, alike.fixed, alike.moving, load=load)
        settled = settled._replace(alike=alike)
        registration = register(
            fixed,
            moving,
            model=settled,
            refinement=_refinement(job, settled),
            guidance=guidance,
            on_step=on_step,
        )
        if job.options.no_folding:
            registration = registration.without_folding()
        on_registered(registration, carried)
        digest = _model_digest(job.options, settled)
        origin = Origin(job.inputs, digest, command, warnings, structures)
        return write_registration(
            registration,
            out,
            outputs=outputs,
            carried=carried,
            origin=origin,
            report=job.options.report,
        )


def _read_scans(job: PairJob) -> tuple[Image, Image]:
    """The scans; of one that is a 4D image, the wanted volume.

    Raises:
        InputError: If a volume is wanted and neither is a 4D image, or a scan cannot be
            read.
    """
    if job.volume is None:
        return kept_file("fixed", job.fixed, io.read), io.read(job.moving)
    volumes = [
        job.volume if io.is_series(path) else None for path in (job.fixed, job.moving)
    ]
    if volumes == [None, None]:
        raise InputError(
            about="--volume",
            expected="a 4D image among the scans",
            got="none",
            advice="leave it out",
        )
    fixed, moving = volumes
    return io.read(job.fixed, volume=fixed), io.read(job.moving, volume=moving)


def _structures(job: PairJob) -> dict[int, str]:
    """The names of labels: those of a CSV, or else those that the label files state."""
    path, files = job.options.structures, job.companions
    if path is None:
        return names_of_pair(files.fixed_labels, files.moving_labels)
    from voltween.cohorts import read_structures  # imports 60 modules, for few pairs

    return read_structures(path)


def _refinement(job: PairJob, settled: SettledModel) -> RefinementChoice:
    options = job.options.refinement
    return options.choice(model_name=settled.name, has_guidance=job.has_guidance)


def _model_digest(options: RegistrationOptions, settled: SettledModel) -> str | None:
    if settled.model is None:
        return None
    return weights_digest(settled.name if options.model == AUTO else options.model)


def _read_carried(files: Companions, fixed: Grid, moving: Grid) -> Carried:
    """The label maps, checked to lie on their scans, and the points."""
    return Carried(
        fixed_labels=_fixed_labels("fixed_labels", files.fixed_labels, fixed),
        moving_labels=_moving_labels(files, moving),
        fixed_points=_points(files.fixed_points),
        moving_points=_points(files.moving_points),
    )


def _read_guidance(
    job: PairJob, carried: Carried, fixed: Grid, moving: Grid
) -> Guidance:
    """Masks, landmarks, structures, further images and the initial transform."""
    files = job.companions
    by_labels = job.options.refinement.guide_by_labels
    if by_labels and (carried.fixed_labels is None or carried.moving_labels is None):
        raise InputError(
            about="--guide-by-labels",
            expected="--fixed-labels and --moving-labels",
            got="not both",
        )
    return Guidance(
        fixed=Side(
            mask=_fixed_labels("fixed_mask", files.fixed_mask, fixed),
            labels=carried.fixed_labels if by_labels else None,
            points=carried.fixed_points if job.points_guide else None,
            channels=tuple(io.read(path) for path in files.fixed_channels),
        ),
        moving=Side(
            mask=_labels(files.moving_mask, moving),
            labels=carried.moving_labels if by_labels else None,
            points=carried.moving_points if job.points_guide else None,
            channels=tuple(io.read(path) for path in files.moving_channels),
        ),
        initial=_initial(files.initial),
    )


def _initial(paths: Sequence[Path]) -> Transform | None:
    """The initial transforms, composed."""
    return reduce(matmul, map(io.read_transform, paths)) if paths else None


def _fixed_labels(role: str, path: Path | None, scan: Grid) -> LabelMap | None:
    """The label map of the fixed scan, which the next pair may have, too."""
    return _labels(path, scan, partial(kept_file, role, read=io.read_labels))


def _labels(
    path: Path | None, scan: Grid, read: Callable[[Path], LabelMap] = io.read_labels
) -> LabelMap | None:
    """The label map of a scan, checked to lie on it."""
    if path is None:
        return None
    labels = read(path)
    check_labels_on_scan(labels, scan, name=path)
    return labels


def _moving_labels(files: Companions, scan: Grid) -> LabelMap | None:
    """The label map of the moving scan, numbered as that of the fixed scan."""
    labels, path = _labels(files.moving_labels, scan), files.moving_labels
    if labels is None or path is None:
        return None
    return number_by_names(labels, files.fixed_labels, path)


def _points(path: Path | None) -> Points | None:
    return None if path is None else io.read_points(path)
