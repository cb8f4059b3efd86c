"""One case of a cohort made ready: axes, crop and intensities, with a line for the log.

References:
    Lau et al. 2019, section V-A2 (liver) and V-B b (brain): crop around the organ,
    axes in one orientation, intensities that agree.
"""

from dataclasses import dataclass

import numpy as np

from voltween.cohorts.crop import Crop, head_crop, liver_crop, whole
from voltween.cohorts.downloads.download import Download, IntensityRule, LoadedCase
from voltween.cohorts.intensities import match_histogram, normalize_foreground
from voltween.errors import InputError
from voltween.preprocessing import check_has_contrast, hounsfield_offset
from voltween.spatial import Grid, Image, LabelMap, Points

HOUNSFIELD: IntensityRule = "Hounsfield units, matched"
_ROUNDING_SHARE = 0.1  # of a voxel: headers of image and labels are rounded apart
_AXES = ("RL", "AP", "SI")


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """A case that is ready to be written."""

    image: Image
    labels: LabelMap | None
    points: Points | None
    log: dict[str, str]
    """What was found and done, by column."""


def prepare_case(
    loaded: LoadedCase, cohort: Download, *, reference: Image | None
) -> PreparedCase:
    """The case in RAS order, cropped, its intensities as the cohort's recipe says.

    `reference` has the histogram that CT is matched to; None leaves the units.

    Raises:
        InputError: If the image has no contrast, or its labels are not of its voxels.
    """
    check_has_contrast(loaded.image)
    image = whole(loaded.image).of(loaded.image)
    image, offset = _in_hounsfield_units(image, cohort)
    labels, remarks = _on_image(loaded, image.grid)
    if labels is not None and cohort.one_label:
        labels = _merged(labels, cohort.one_label)
    crop = _crop(image, labels, cohort)
    ready, rule = _exposed(crop.of(image), cohort, reference)
    stored = loaded.image.grid
    log = {
        "stored_axes": stored.axcodes,
        "stored_shape": _text(stored.shape),
        "spacing_mm": _text(image.grid.spacing_mm.round(4).tolist()),
        "axes": _axes_rule(stored.axcodes),
        "crop_rule": crop.rule,
        "box_voxels": _box_voxels(image.grid, crop.grid),
        "box_mm": _box_mm(crop.grid),
        "intensity_rule": offset + rule,
        "remarks": "; ".join(filter(None, (*loaded.remarks, *remarks, cohort.remark))),
    }
    cut_labels = None if labels is None else crop.of(labels)
    return PreparedCase(ready, cut_labels, loaded.points, log)


def _in_hounsfield_units(image: Image, cohort: Download) -> tuple[Image, str]:
    if cohort.intensity_rule != HOUNSFIELD or (offset := hounsfield_offset(image)) == 0:
        return image, ""
    return Image(image.data - offset, image.grid), f"{offset:g} taken off; "


def _on_image(
    loaded: LoadedCase, grid: Grid
) -> tuple[LabelMap | None, tuple[str, ...]]:
    """The labels on the image's own grid in RAS order; nothing is resampled.

    Raises:
        InputError: If they have other voxels.
    """
    labels = loaded.labels
    if labels is None:
        return None, ()
    ordered = _ordered(labels)
    if ordered.grid.is_close(grid, _ROUNDING_SHARE * float(grid.spacing_mm.min())):
        return LabelMap(ordered.data, grid), ()
    if labels.data.shape != loaded.image.data.shape:
        raise InputError(
            f"labels must have the image's shape {loaded.image.data.shape}, got "
            f"{labels.data.shape}: are they of another scan?"
        )
    remark = "header of the labels lays them elsewhere: taken voxel by voxel"
    return _ordered(LabelMap(labels.data, loaded.image.grid)), (remark,)


def _ordered(labels: LabelMap) -> LabelMap:
    """The labels with axes in RAS order."""
    return whole(Image(labels.data, labels.grid)).of(labels)


def _merged(labels: LabelMap, one_label: dict[int, int]) -> LabelMap:
    data = labels.data.copy()
    for old, new in one_label.items():
        data[labels.data == old] = new
    return LabelMap(data, labels.grid)


def _crop(image: Image, labels: LabelMap | None, cohort: Download) -> Crop:
    if cohort.region == "liver":
        return liver_crop(image, labels)
    return head_crop(image) if cohort.region == "head" else whole(image)


def _exposed(
    image: Image, cohort: Download, reference: Image | None
) -> tuple[Image, str]:
    """The image with the intensities of the recipe, and the rule with its numbers."""
    if cohort.intensity_rule == HOUNSFIELD:
        if reference is None:
            return image, "Hounsfield units; all others are matched to this"
        low, high = (float(v) for v in np.percentile(image.data, (1, 99)))
        matched = match_histogram(image, reference)
        ends = (float(v) for v in np.percentile(matched.data, (1, 99)))
        return matched, (
            "histogram matched to the reference: percentiles 1 and 99 were "
            f"{low:.5g} {high:.5g}, are {' '.join(f'{v:.5g}' for v in ends)}"
        )
    if cohort.intensity_rule == "as stored":
        return image, "as stored"
    ready, (low, high) = normalize_foreground(image)
    return ready, f"{low:.6g} became 0 and {high:.6g} became 1, by the foreground"


def _axes_rule(axcodes: str) -> str:
    if axcodes == "RAS":
        return "none"
    order = [next(n for n, c in enumerate(axcodes) if c in pair) for pair in _AXES]
    flipped = [letter for letter in axcodes if letter not in "RAS"]
    turned = f", turned {' '.join(flipped)}" if flipped else ""
    return f"order {' '.join(map(str, order))}{turned}"


def _box_voxels(scan: Grid, box: Grid) -> str:
    """The box in voxels of the whole scan in RAS order, first and last."""
    first = np.rint(scan.world_to_voxel(box.affine[:3, 3])).astype(int)
    last = first + box.shape - 1
    return " ".join(f"{a}:{b}" for a, b in zip(first, last, strict=True))


def _box_mm(grid: Grid) -> str:
    """First and last voxel's center, RAS+ mm."""
    first = grid.affine[:3, 3]
    last = grid.voxel_to_world(np.array(grid.shape) - 1.0)
    return " to ".join(_text(np.round(corner, 2).tolist()) for corner in (first, last))


def _text(numbers: tuple[int, ...] | list[float]) -> str:
    return " ".join(f"{n:g}" for n in numbers)
