"""Affine pre-alignment of scans to an atlas by ANTs, as the paper's starred rows have.

Methods without an affine stage (VoxelMorph, cascades without A) are given scans that
ANTs has laid on an atlas, in training and in use (section V-B). What they find there is
carried back to the scans' own worlds exactly, so that nothing has to be corrected for.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from voltween import io
from voltween.baselines import TOOLS
from voltween.cohorts import Case, load_case, write_manifest
from voltween.errors import InputError, OutputError
from voltween.evaluation.methods import Answer, Method, Registering
from voltween.files import output_folder, whole_file
from voltween.spatial import Affine, Image, Transform

_ALIGNMENT, _ATLAS = "alignment", "atlas.nii.gz"


@dataclass(frozen=True, eq=False)
class Alignment:
    """Affine transforms of scans to an atlas, found once and kept in a folder."""

    atlas: Image
    folder: Path

    def of(self, image: Image) -> Affine:
        """Atlas world mm to the image's world mm.

        Raises:
            InputError: If antspyx is missing, ANTs fails, or the folder cannot be
                written to.
        """
        path = self._path(image)
        if not path.exists():
            output_folder(self.folder)
            found, used = TOOLS["ants-affine"].run(self.atlas, image)
            with whole_file(path.with_suffix(".json")) as partial:
                partial.write_text(json.dumps({"seconds": used.seconds}))
            io.write(found, path)
        affine = io.read_transform(path)
        assert isinstance(affine, Affine)
        return affine

    def _path(self, image: Image) -> Path:
        TOOLS["ants-affine"].check_installed()
        ants_version = version(TOOLS["ants-affine"].package)
        text = f"antspyx {ants_version} {_digest(self.atlas)} {_digest(image)}"
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.tfm"


def new_alignment(atlas: Image, out: Path) -> Alignment:
    """The alignment to an atlas that is kept, with the atlas, in out/alignment.

    Raises:
        InputError: If the folder cannot be written to.
    """
    folder = output_folder(out / _ALIGNMENT)
    io.write(atlas, folder / _ATLAS)
    return read_alignment(out)


def read_alignment(out: Path) -> Alignment:
    """The alignment that is kept in a folder made by `voltween align`.

    Raises:
        InputError: If none is there.
    """
    folder = out / _ALIGNMENT
    if not (folder / _ATLAS).exists():
        raise InputError(
            f"{out}: expected a folder made by `voltween align`, got none with "
            f"{_ALIGNMENT}/{_ATLAS}"
        )
    return Alignment(io.read(folder / _ATLAS), folder)


def align_cases(
    cases: Sequence[Case],
    alignment: Alignment,
    out: Path,
    *,
    on_case: Callable[[str], None] = lambda name: None,
) -> tuple[Case, ...]:
    """The cases on the atlas's grid, written to a folder with a manifest, cases.csv.

    Beside each its transform, NAME_from_atlas.tfm: atlas world to the scan's own. What
    ANTs found before is not sought again.

    Raises:
        OutputError: At the first case that cannot be written.
        InputError: After all others are done and in the manifest, if a case could not
            be read or aligned.
    """
    output_folder(out)
    aligned, faults = [], []
    for case in cases:
        on_case(case.name)
        try:
            aligned.append(_aligned_case(case, alignment, out))
        except OutputError:  # a full disk is no fault of the case
            raise
        except InputError as error:
            faults.append(f"{case.name}: {error}")
    write_manifest(aligned, out / "cases.csv", line_ending="\r\n")
    if faults:
        raise InputError(
            f"{out}: {len(faults)} of {len(cases)} cases could not be aligned and are "
            f"not in cases.csv: {'; '.join(faults)}"
        )
    return tuple(aligned)


def prealign(method: Method, alignment: Alignment, *, name: str) -> Method:
    """The method, given scans on the atlas instead of as they are, as `name`.

    The alignment is not part of a pair's time, as in the paper.
    """

    def load() -> Registering:
        register = method.load()

        def answer(fixed: Image, moving: Image) -> Answer:
            to_fixed, to_moving = alignment.of(fixed), alignment.of(moving)
            grid = alignment.atlas.grid
            found = register(
                to_fixed.resample(fixed, onto=grid),
                to_moving.resample(moving, onto=grid),
            )

            def carried(transform: Transform) -> Transform:
                return to_moving @ transform @ to_fixed.inverse()

            stages = {name: carried(stage) for name, stage in found.stages.items()}
            return Answer(carried(found.fixed_to_moving), stages, found.used)

        return answer

    facts = {**method.facts, "atlas": _digest(alignment.atlas)}
    return replace(method, name=name, load=load, facts=facts, prepare=alignment.of)


def _aligned_case(case: Case, alignment: Alignment, out: Path) -> Case:
    """Written anew each time, which is quick: files of other scans must not stay."""
    image, labels = load_case(case)
    affine, grid = alignment.of(image), alignment.atlas.grid
    image_path = io.write(
        affine.resample(image, onto=grid), out / f"{case.name}.nii.gz"
    )
    io.write(affine, out / f"{case.name}_from_atlas.tfm")
    labels_path = points_path = None
    if labels is not None:
        moved = affine.resample(labels, onto=grid)
        labels_path = io.write(moved, out / f"{case.name}_labels.nii.gz")
    if case.points:
        points = affine.inverse().map_points(io.read_points(case.points))
        points_path = io.write(points, out / f"{case.name}_points.csv")
    return Case(case.name, image_path, labels_path, points_path, case.split)


def _digest(image: Image) -> str:
    """What stands for an image: its voxels and where they are."""
    content = np.ascontiguousarray(image.data).tobytes() + image.grid.affine.tobytes()
    return hashlib.sha256(f"{image.grid.shape}".encode() + content).hexdigest()
