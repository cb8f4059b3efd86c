"""The rounds of a template, each kept as finished work that the next run finds."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from voltween import io
from voltween.batches import Registered
from voltween.cohorts import Case
from voltween.preprocessing import find_foreground
from voltween.spatial import Affine, Grid, Image, Transform, spacing_and_shape
from voltween.storage import Draft, Store, content_digest
from voltween.templates.averaging import AlignedScan, average_scans, sharpened
from voltween.templates.mean_shape import (
    lengths_of,
    mean_pose,
    nearest_affine,
    shape_update,
)
from voltween.templates.options import AveragingOptions
from voltween.templates.survey import Survey
from voltween.templates.symmetry import middle_pose, symmetric_mean, symmetric_shape

MEAN, UPDATE = "template.nii.gz", "update.h5"
RECORDS = "records"
"""The folder of the records of finished work."""

_FORMAT = 3  # raise it when a template of the same inputs changes
_MOST_POSITIONS = 20_000  # at which affine maps are fitted


@dataclass(frozen=True)
class Round:
    """A round that is finished: the template after it, and its scans."""

    number: int
    template: Path
    update: Path
    """Transform from the world of this template to that of the one before."""
    registered: Registered
    values: Mapping[str, Any]
    """Figures of the round."""
    base: str | None = None
    """The scan that the others were registered to, in the affine round."""

    @property
    def names(self) -> list[str]:
        """The names of the scans that the template is made of."""
        return [*([self.base] if self.base else []), *self.registered.transforms]

    def transform(self, name: str) -> Transform:
        """The transform from this template to a scan."""
        update = io.read_transform(self.update)
        if name == self.base:
            return update
        return io.read_transform(self.registered.transforms[name]) @ update

    def file_of(self, name: str) -> Path:
        """The file that tells the transform of a scan from others."""
        return self.registered.transforms.get(name, self.update)


@dataclass(frozen=True)
class TransformFiles(Mapping[str, Transform]):
    """Transforms in files, each read on access: few are in memory at once."""

    files: Mapping[str, Path]

    def __getitem__(self, name: str) -> Transform:
        return io.read_transform(self.files[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class Averager:
    """Makes the template of the next round, and keeps it in a folder."""

    out: Path
    cases: Mapping[str, Case]
    surveys: Mapping[str, Survey]
    options: AveragingOptions

    def first(self, base: str, registered: Registered) -> Round:
        """The affine mean of scans that were registered to one of them, the base."""
        grid = self.surveys[base].grid
        others = {
            name: nearest_affine(io.read_transform(path), grid.corners_mm())
            for name, path in registered.transforms.items()
        }
        from_base = {base: Affine.identity(), **others}

        def make(draft: Draft) -> None:
            centers = np.array([self.surveys[name].center_mm for name in from_base])
            pose = mean_pose([*from_base.values()], centers)
            grid = self._common_grid({n: t @ pose for n, t in from_base.items()})
            self._write(draft, 0, pose, from_base, grid)

        facts = self._facts(registered, self.cases[base].image)
        return replace(self._kept(0, registered, facts, make), base=base)

    def symmetric_start(self, start: Path) -> Round:
        """A given start, turned to its plane of symmetry and made symmetric."""

        def make(draft: Draft) -> None:
            image = io.read(start)
            pose = middle_pose(image)
            turned = symmetric_mean(pose.resample(image, onto=image.grid))
            io.write(turned, draft.path(_path(0, MEAN)))
            io.write(pose, draft.path(_path(0, UPDATE)))

        nothing = Registered({}, {}, {})
        return self._kept(0, nothing, self._facts(nothing, start), make)

    def next(self, number: int, template: Path, registered: Registered) -> Round:
        """The mean of scans that were registered to a template, in the mean shape."""

        def make(draft: Draft) -> None:
            before = io.read(template)
            is_ct = all(survey.is_ct for survey in self.surveys.values())
            positions_mm = foreground_mm(before, is_ct=is_ct)
            transforms = TransformFiles(registered.transforms)
            is_symmetric = self.options.mirrored
            update = shape_update(
                transforms.values(),
                positions_mm,
                before.grid,
                step=self.options.step,
                symmetrize=symmetric_shape if is_symmetric else None,
            )
            moved_mm = lengths_of(update, positions_mm)
            draft.values["shape_change_mm"] = float(moved_mm.mean())
            self._write(draft, number, update, transforms, before.grid)

        facts = self._facts(registered, template)
        return self._kept(number, registered, facts, make)

    def _write(
        self,
        draft: Draft,
        number: int,
        update: Transform,
        transforms: Mapping[str, Transform],
        grid: Grid,
    ) -> None:
        """Writes the mean of the scans, and the update that leads to it."""
        mean = self._average(transforms, update, grid)
        if self.options.mirrored:
            if number == 0:
                update = update @ middle_pose(mean)
                mean = self._average(transforms, update, grid)
            mean = symmetric_mean(mean)
        io.write(sharpened(mean, self.options.sharpen), draft.path(_path(number, MEAN)))
        io.write(update, draft.path(_path(number, UPDATE)))

    def _average(
        self, transforms: Mapping[str, Transform], update: Transform, grid: Grid
    ) -> Image:
        def read(name: str) -> Transform:
            return transforms[name] @ update

        scans = [
            AlignedScan(self.cases[name].image, self.surveys[name], partial(read, name))
            for name in transforms
        ]
        return average_scans(scans, grid, self.options.average, self.out)

    def _common_grid(self, poses: Mapping[str, Transform]) -> Grid:
        """A grid of axes R, A, S: median voxel size and field of view of the scans."""
        grids = {name: self.surveys[name].grid for name in poses}
        sizes = [spacing_and_shape(grid) for grid in grids.values()]
        spacing_mm = np.median([size[0] for size in sizes], axis=0)
        extent_mm = np.median([size[0] * size[1] for size in sizes], axis=0)
        centers = [
            pose.inverse().map_positions(grids[name].center_mm[None])[0]
            for name, pose in poses.items()
        ]
        i, j, k = np.ceil(extent_mm / spacing_mm - 1e-6).astype(int).tolist()
        x, y, z = spacing_mm.tolist()
        return Grid.centered(
            (i, j, k),
            center_mm=np.median(centers, axis=0),
            spacing_mm=(x, y, z),
            directions=np.eye(3),
        )

    def _facts(self, registered: Registered, template: Path) -> dict[str, Any]:
        """Everything that a round depends on."""
        return {
            "format": _FORMAT,
            "voltween": version("voltween"),
            "options": asdict(self.options),
            "template": content_digest(template),
            "scans": {
                name: [content_digest(self.cases[name].image), content_digest(path)]
                for name, path in registered.transforms.items()
            },
        }

    def _kept(
        self,
        number: int,
        registered: Registered,
        facts: dict[str, Any],
        make: Callable[[Draft], None],
    ) -> Round:
        def make_and_time(draft: Draft) -> None:
            start = time.process_time()
            make(draft)
            draft.values["processor_seconds"] = time.process_time() - start

        store, name = Store(self.out, RECORDS), f"round-{number}"
        finished = store.found_or_made(facts, make_and_time, name=name)
        return Round(
            number,
            self.out / _path(number, MEAN),
            self.out / _path(number, UPDATE),
            registered,
            finished.values,
        )


def foreground_mm(image: Image, *, is_ct: bool) -> Float[np.ndarray, "n 3"]:
    """Positions in mm of some voxels of an image's foreground, RAS+, evenly taken."""
    threshold = find_foreground(image, is_ct=is_ct).threshold
    mask: Bool[np.ndarray, "i j k"] = image.data > threshold
    voxels = np.argwhere(mask).astype(float)
    step = max(1, len(voxels) // _MOST_POSITIONS)
    return image.grid.voxel_to_world(voxels[::step])


def round_folder(number: int) -> str:
    """The folder of a round, in that of the template."""
    return f"rounds/{number}"


def _path(number: int, name: str) -> str:
    return f"{round_folder(number)}/{name}"
