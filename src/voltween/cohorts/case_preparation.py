"""Preparation of one case of a cohort: axes, crop and intensities, with a log.

References:
    Lau et al. 2019, section V-A2 (liver) and V-B b (brain): crop around the organ,
    axes in one orientation, comparable intensities.
"""

from dataclasses import dataclass

import numpy as np

from voltween.cohorts.crop import Crop, head_crop, liver_crop, whole
from voltween.cohorts.downloads.download import Download, IntensityRule, LoadedCase
from voltween.cohorts.intensities import match_histogram, normalize_foreground
from voltween.errors import InputError
from voltween.preprocessing import check_is_scan, hounsfield_offset
from voltween.spatial import Grid, Image, LabelMap, Points, reorder_grid_to_ras

HOUNSFIELD: IntensityRule = "Hounsfield units, matched"
_ROUNDING_SHARE = 0.1  # of a voxel: headers of image and labels round differently
COPIED = "copied voxel by voxel"
"""Part of the remark on labels whose header lays them elsewhere than the image."""
_AXES = ("RL", "AP", "SI")


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """A case that is ready to be written."""

    image: Image
    labels: LabelMap | None
    points: Points | None
    log: dict[str, str]
    """Facts and steps of the preparation, by column of the log."""


def prepare_case(
    loaded: LoadedCase, download: Download, *, reference: Image | None
) -> PreparedCase:
    """Reorders the case to RAS, crops it and applies the recipe's intensity rule.

    The histogram of a CT is matched to `reference`; None keeps its Hounsfield units.

    Raises:
        InputError: If the image has no contrast, or the labels have other voxels.
    """
    check_is_scan(loaded.image)
    image = whole(loaded.image).cut(loaded.image)
    image, offset = _subtract_offset(image, download)
    labels, remarks = _fit_labels(loaded.labels, loaded.image.grid, "labels")
    if loaded.mask is not None:
        image, of_mask = _strip(image, loaded.mask, loaded.image.grid)
        remarks = (*remarks, *of_mask)
    if labels is not None and download.one_label:
        labels = _merge_labels(labels, download.one_label)
    crop = _crop(image, labels, download)
    ready, rule = _apply_intensity_rule(crop.cut(image), download, reference)
    stored = loaded.image.grid
    remarks = (*loaded.remarks, *remarks, download.remark)
    log = {
        "stored_axes": stored.axcodes,
        "stored_shape": _text(stored.shape),
        "spacing_mm": _text(image.grid.spacing_mm.round(4).tolist()),
        "axes": _axes_rule(stored.axcodes),
        "crop_rule": crop.rule,
        "box_voxels": _box_voxels(image.grid, crop.grid),
        "box_mm": _box_mm(crop.grid),
        "intensity_rule": offset + rule,
        "points": loaded.points_remark,
        "remarks": "; ".join(filter(None, remarks)),
    }
    cropped_labels = None if labels is None else crop.cut(labels)
    return PreparedCase(ready, cropped_labels, loaded.points, log)


def _subtract_offset(image: Image, download: Download) -> tuple[Image, str]:
    """The CT in Hounsfield units, and the log's text if an offset was subtracted."""
    if download.intensity_rule != HOUNSFIELD:
        return image, ""
    offset = hounsfield_offset(image)
    if offset == 0:
        return image, ""
    return Image(image.data - offset, image.grid), f"{offset:g} taken off; "


def _strip(image: Image, mask: LabelMap, stored: Grid) -> tuple[Image, tuple[str, ...]]:
    """The image with 0 outside the mask, and remarks.

    Raises:
        InputError: If the mask has other voxels, or is empty.
    """
    fitted, remarks = _fit_labels(mask, stored, "mask")
    is_kept = np.zeros(image.grid.shape, bool) if fitted is None else fitted.data > 0
    if not is_kept.any():
        raise InputError(
            about="mask", expected="voxels above 0, which are kept", got="none"
        )
    remark = f"stripped by a mask, which keeps {100 * is_kept.mean():.3g} % of the scan"
    return Image(np.where(is_kept, image.stored, 0), image.grid), (*remarks, remark)


def _fit_labels(
    labels: LabelMap | None, stored: Grid, about: str
) -> tuple[LabelMap | None, tuple[str, ...]]:
    """The labels on the image's grid in RAS order, without resampling, and remarks.

    `stored` is the grid of the image as stored.

    Raises:
        InputError: If the labels have other voxels.
    """
    if labels is None:
        return None, ()
    ordered = _order(labels)
    grid = reorder_grid_to_ras(stored)
    if ordered.grid.is_close(grid, _ROUNDING_SHARE * float(grid.spacing_mm.min())):
        return LabelMap(ordered.data, grid), ()
    if labels.data.shape != stored.shape:
        raise InputError(
            about=about,
            expected=f"the image's shape {stored.shape}",
            got=labels.data.shape,
            advice="check whether they belong to another scan",
        )
    kind = "label" if about == "labels" else about
    remark = f"{kind} header disagrees with the image header; {about} {COPIED}"
    return _order(LabelMap(labels.data, stored)), (remark,)


def _order(labels: LabelMap) -> LabelMap:
    """The labels with axes in RAS order."""
    return whole(Image(labels.data, labels.grid)).cut(labels)


def _merge_labels(labels: LabelMap, one_label: dict[int, int]) -> LabelMap:
    data = labels.data.copy()
    for old, new in one_label.items():
        data[labels.data == old] = new
    return LabelMap(data, labels.grid)


def _crop(image: Image, labels: LabelMap | None, download: Download) -> Crop:
    is_ct = download.intensity_rule == HOUNSFIELD
    if download.region == "head":
        return head_crop(image, is_ct=is_ct)
    if download.region == "whole":
        return whole(image)
    if labels is None and not is_ct:
        raise InputError(
            about="labels",
            expected="a label map that shows the liver, which only CT shows itself",
            got="none",
        )
    return liver_crop(image, labels)


def _apply_intensity_rule(
    image: Image, download: Download, reference: Image | None
) -> tuple[Image, str]:
    """The image with the recipe's intensities, and the rule with its numbers."""
    if download.intensity_rule == "as stored":
        return image, "as stored"
    if download.intensity_rule != HOUNSFIELD:
        ready, (low, high) = normalize_foreground(image)
        return ready, f"{low:.6g} became 0 and {high:.6g} became 1, by the foreground"
    if reference is None:
        return image, "Hounsfield units; all others are matched to this"
    matched = match_histogram(image, reference)
    return matched, (
        "histogram matched to the reference: percentiles 1 and 99 were "
        f"{_range_text(image)}, are {_range_text(matched)}"
    )


def _range_text(image: Image) -> str:
    low, high = (float(value) for value in np.percentile(image.data, (1, 99)))
    return f"{low:.5g} {high:.5g}"


def _axes_rule(axcodes: str) -> str:
    if axcodes == "RAS":
        return "none"
    order = [next(n for n, c in enumerate(axcodes) if c in pair) for pair in _AXES]
    flipped = [letter for letter in axcodes if letter not in "RAS"]
    turned = f", turned {' '.join(flipped)}" if flipped else ""
    return f"order {' '.join(map(str, order))}{turned}"


def _box_voxels(scan: Grid, box: Grid) -> str:
    """First and last index of the box along each axis of the whole scan in RAS."""
    first = np.rint(scan.world_to_voxel(box.affine[:3, 3])).astype(int)
    last = first + box.shape - 1
    return " ".join(f"{a}:{b}" for a, b in zip(first, last, strict=True))


def _box_mm(grid: Grid) -> str:
    """Centers of the first and last voxel, RAS+ mm."""
    first = grid.affine[:3, 3]
    last = grid.voxel_to_world(np.array(grid.shape) - 1.0)
    return " to ".join(_text(np.round(corner, 2).tolist()) for corner in (first, last))


def _text(numbers: tuple[int, ...] | list[float]) -> str:
    return " ".join(f"{n:g}" for n in numbers)
