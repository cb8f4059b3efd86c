"""Affine pre-alignment of scans to an atlas by ANTs, as in the paper's starred rows.

Methods without an affine stage (VoxelMorph, cascades without A) get scans that ANTs has
aligned to an atlas, in training and in use (section V-B). Their transforms are mapped
back to the scans' own worlds exactly, so that no correction is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from voltween import io
from voltween.baselines import TOOLS
from voltween.cohorts import Case, load_case, write_manifest
from voltween.errors import InputError
from voltween.evaluation.methods import Answer, Method, Registering
from voltween.spatial import Affine, Image, Transform
from voltween.storage import (
    Draft,
    Store,
    bytes_digest,
    check_is_no_input,
    content_digest,
    file_name,
    output_folder,
)
from voltween.workers import Outcome, Runner, Shared, Task, sharing

_ALIGNMENT, _ATLAS, _FINISHED = "alignment", "atlas.nii.gz", "finished"
_FORMAT = 1  # raised when alignments or aligned scans change: they are made again


@dataclass(frozen=True, eq=False)
class Alignment:
    """Affine transforms of scans to an atlas, computed once and kept in a folder."""

    atlas: Image
    folder: Path

    def of(self, image: Image) -> Affine:
        """Atlas world mm to the image's world mm.

        Raises:
            InputError: If antspyx is missing or ANTs fails.
            OutputError: If the folder cannot be written to.
        """

        def align(draft: Draft) -> None:
            transform, used = TOOLS["ants-affine"].run(self.atlas, image)
            io.write(transform, draft.path(f"{draft.name}.tfm"))
            draft.values["seconds"] = used.seconds

        facts = {**self.facts, "image": _digest(image)}
        (path,) = Store(self.folder).found_or_made(facts, align).paths
        affine = io.read_transform(path)
        assert isinstance(affine, Affine)
        return affine

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts that the alignment of every scan depends on.

        Raises:
            MissingPackageError: If antspyx is missing.
        """
        TOOLS["ants-affine"].check_installed()
        antspyx = version(TOOLS["ants-affine"].package)
        return {"format": _FORMAT, "antspyx": antspyx, "atlas": _digest(self.atlas)}


def new_alignment(atlas: Image, out: Path) -> Alignment:
    """The alignment to an atlas, kept with the atlas in out/alignment.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    folder = output_folder(out / _ALIGNMENT)
    io.write(atlas, folder / _ATLAS)
    return read_alignment(out)


def read_alignment(out: Path) -> Alignment:
    """The alignment in a folder made by `voltween align`.

    Raises:
        InputError: If the folder has none.
    """
    folder = out / _ALIGNMENT
    if not (folder / _ATLAS).exists():
        raise InputError(
            about=out,
            expected="a folder made by `voltween align`",
            got=f"one without {_ALIGNMENT}/{_ATLAS}",
        )
    return Alignment(io.read(folder / _ATLAS), folder)


def align_cases(
    cases: Sequence[Case],
    alignment: Alignment,
    out: Path,
    *,
    runner: Runner | None = None,
) -> tuple[Case, ...]:
    """Writes the cases on the atlas's grid to a folder with a manifest, cases.csv.

    Beside each scan it writes the transform NAME_from_atlas.tfm, which maps atlas world
    to the scan's world. Cases that the folder has from the same files are kept. Those
    that cannot be read or aligned are failures in the status of the runner, and are not
    in the manifest, whose cases are returned.

    Raises:
        OutputError: At the first case that cannot be written.
        InputError: If a file to write is an input of the command, or one of two cases.
    """
    _check_outputs(cases, out)
    runner, aligned = runner or Runner(), set()

    def note(outcome: Outcome) -> str:
        if outcome.error is None:
            aligned.add(outcome.name)
        return ""

    with sharing(alignment, output_folder(out), runner.engine) as shared:
        tasks = [Task(case.name, (shared, case, out)) for case in cases]
        runner.run(_align_case, tasks, note)
    made = [_aligned_case(case, out) for case in cases if case.name in aligned]
    write_manifest(made, out / "cases.csv", line_ending="\r\n")
    return tuple(made)


def prealign(method: Method, alignment: Alignment, *, name: str) -> Method:
    """The method applied to scans on the atlas, as a method called `name`.

    The time of the alignment does not count as time of the pair, as in the paper.
    """

    def load() -> Registering:
        register = method.load()

        def answer(fixed: Image, moving: Image) -> Answer:
            to_fixed, to_moving = alignment.of(fixed), alignment.of(moving)
            grid = alignment.atlas.grid
            on_atlas = register(
                to_fixed.resample(fixed, onto=grid),
                to_moving.resample(moving, onto=grid),
            )

            def map_back(transform: Transform) -> Transform:
                return to_moving @ transform @ to_fixed.inverse()

            return on_atlas.map_transforms(map_back)

        return answer

    facts = {**method.facts, "atlas": _digest(alignment.atlas)}
    return replace(method, name=name, load=load, facts=facts, prepare=alignment.of)


def _align_case(alignment: Shared[Alignment], case: Case, out: Path) -> None:
    """Writes an aligned case, unless it is finished work of `out`."""
    paths = (case.image, case.labels, case.points)
    digests = [content_digest(path) if path else None for path in paths]
    facts = {
        "alignment": alignment.value.facts,
        "files": digests,
        **case.label_facts,
    }
    store, name = Store(out, records=_FINISHED), file_name(case.name)
    if store.find(facts, name=name) is None:
        with store.making(facts, name=name) as draft:
            _write_aligned(case, alignment.value, draft.folder)


def _aligned_case(case: Case, out: Path) -> Case:
    """The case with its aligned files."""
    image, _, labels, points = _files_of(case, out)
    return replace(
        case,
        image=image,
        labels=labels if case.labels else None,
        points=points if case.points else None,
        label_numbers=None,  # the aligned file has the new numbers
    )


def _write_aligned(case: Case, alignment: Alignment, folder: Path) -> None:
    image, labels = load_case(case)
    affine, grid = alignment.of(image), alignment.atlas.grid
    image_file, transform_file, labels_file, points_file = _files_of(case, folder)
    io.write(affine.resample(image, onto=grid), image_file)
    io.write(affine, transform_file)
    if labels is not None:
        io.write(affine.resample(labels, onto=grid), labels_file)
    if case.points:
        points = affine.inverse().map_points(io.read_points(case.points))
        io.write(points, points_file)


def _files_of(case: Case, out: Path) -> list[Path]:
    """The files of an aligned case: image, transform, labels, points."""
    endings = (".nii.gz", "_from_atlas.tfm", "_labels.nii.gz", "_points.csv")
    return [out / f"{file_name(case.name)}{ending}" for ending in endings]


def _check_outputs(cases: Sequence[Case], out: Path) -> None:
    """Checks that every case has files of its own, which are no inputs.

    Raises:
        InputError: If a file is an input, or one of two cases, such as a_labels and the
            labels of a.
    """
    check_is_no_input(out / "cases.csv")
    of_case: dict[str, str] = {}
    for case in cases:
        for path in _files_of(case, out):
            check_is_no_input(path)
            other = of_case.setdefault(path.name.casefold(), case.name)
            if other != case.name:
                raise InputError(
                    about=out,
                    expected="cases whose names give files of different names",
                    got=f"{other} and {case.name}, which both have {path.name}",
                    advice="rename one of them in the manifest",
                )


def _digest(image: Image) -> str:
    """Digest of an image: its voxels and its grid."""
    shape = str(image.grid.shape).encode()
    return bytes_digest([shape, image.data.tobytes(), image.grid.affine.tobytes()])
