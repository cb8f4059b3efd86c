"""An initial transform puts the moving side in its place; the answer is put back."""

from dataclasses import dataclass, replace
from functools import cached_property

from voltween.registration.guidance import Guidance, Side
from voltween.registration.result import TweeningStage
from voltween.spatial import (
    Affine,
    Grid,
    Image,
    LabelMap,
    Points,
    Transform,
    origins_mm,
)


@dataclass(frozen=True, eq=False)
class Relocation:
    """A pair whose moving side lies where an initial transform puts it.

    An affine one changes nothing but the place of the voxels. Through any other, the
    scan and its guidance are resampled onto the fixed scan's grid.
    """

    fixed: Image
    moving_as_stored: Image
    guidance_as_given: Guidance

    @property
    def initial(self) -> Transform | None:
        """The initial transform, fixed to moving mm; None leaves all where it is."""
        return self.guidance_as_given.initial

    @property
    def has_initial(self) -> bool:
        """Whether there is an initial transform."""
        return self.initial is not None

    @cached_property
    def moving(self) -> Image:
        """The moving scan in fixed space."""
        return self._image(self.moving_as_stored)

    @cached_property
    def guidance(self) -> Guidance:
        """The guidance with that of the moving side in fixed space."""
        side = self.guidance_as_given.moving
        moved = Side(
            mask=None if side.mask is None else self._labels(side.mask),
            labels=None if side.labels is None else self._labels(side.labels),
            points=None if side.points is None else self._points(side.points),
            channels=tuple(self._image(channel) for channel in side.channels),
        )
        return replace(self.guidance_as_given, moving=moved, initial=None)

    def undo(self, stages: tuple[TweeningStage, ...]) -> tuple[TweeningStage, ...]:
        """Stages found in fixed space, as transforms to the moving scan as stored."""
        if self.initial is None:
            return stages
        backward = self.initial.inverse() if isinstance(self.initial, Affine) else None
        return tuple(
            TweeningStage(
                stage.name,
                self.initial @ stage.fixed_to_moving,
                stage.moving_to_fixed @ backward
                if stage.moving_to_fixed is not None and backward is not None
                else None,
            )
            for stage in stages
        )

    def _image(self, image: Image) -> Image:
        if self.initial is None:
            return image
        if isinstance(self.initial, Affine):
            return Image(image.data, _relocated(image.grid, self.initial))
        return self.initial.resample(image, onto=self.fixed.grid)

    def _labels(self, labels: LabelMap) -> LabelMap:
        if self.initial is None:
            return labels
        if isinstance(self.initial, Affine):
            return LabelMap(labels.data, _relocated(labels.grid, self.initial))
        return self.initial.resample(labels, onto=self.fixed.grid)

    def _points(self, points: Points) -> Points:
        if self.initial is None:
            return points
        return Points(origins_mm(self.initial, points.mm), points.names)


def _relocated(grid: Grid, initial: Affine) -> Grid:
    return Grid(grid.shape, initial.inverse().matrix @ grid.affine)
