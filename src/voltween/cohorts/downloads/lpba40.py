"""LPBA40: 40 delineated brains, oriented by their labels.

The files are Analyze 7.5, which does not tell left from right. The labels do: odd ones
are on the left and even ones on the right, frontal lobes in front of occipital lobes,
and cerebellum and brainstem below the rest.
"""

from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np
from jaxtyping import Float

from voltween.cohorts.downloads.analyze import directions_of
from voltween.cohorts.downloads.download import Download, LoadedCase
from voltween.cohorts.downloads.layouts import Layout, find_by_layouts
from voltween.spatial import Grid, Image, LabelMap

_PAIRED = range(21, 167)  # cerebellum 181 and brainstem 182 have no side
_FRONTAL, _OCCIPITAL = range(21, 35), range(61, 69)
_BELOW = (181, 182)
_LETTERS = ("LR", "PA", "IS")


def orient_by_labels(loaded: LoadedCase) -> LoadedCase:
    """Corrects the case's axes if its labels show that the header is wrong."""
    if loaded.labels is None or not _determine_axes(loaded.labels):
        return loaded
    axes = _axes_by_labels(loaded.labels)
    stored = loaded.labels.grid
    if axes == stored.axcodes and loaded.image.grid.is_close(stored):
        return loaded
    i, j, k = (float(mm) for mm in stored.spacing_mm)
    grid = Grid.centered(
        stored.shape,
        center_mm=stored.center_mm,
        spacing_mm=(i, j, k),
        directions=directions_of(axes),
    )
    remark = f"header says {stored.axcodes}, labels lie as in {axes}: taken from labels"
    return replace(
        loaded,
        image=Image(loaded.image.data, grid),
        labels=LabelMap(loaded.labels.data, grid),
        remarks=(*loaded.remarks, remark),
    )


def _determine_axes(labels: LabelMap) -> bool:
    """Whether labels occur on all sides of the brain."""
    present = set(labels.labels)
    sides = (_FRONTAL, _OCCIPITAL, _BELOW)
    return all(present & set(side) for side in sides) and {
        label % 2 for label in present & set(_PAIRED)
    } == {0, 1}


def _axes_by_labels(labels: LabelMap) -> str:
    """Direction of each array axis according to the labels, such as 'LAS'."""
    odd = [label for label in _PAIRED if label % 2]
    even = [label for label in _PAIRED if label % 2 == 0]
    to_ras = np.array(  # rows: left to right, back to front, bottom to top
        [
            _centroid(labels, even) - _centroid(labels, odd),
            _centroid(labels, _FRONTAL) - _centroid(labels, _OCCIPITAL),
            _centroid(labels, _PAIRED) - _centroid(labels, _BELOW),
        ]
    )
    to_ras /= np.linalg.norm(to_ras, axis=1, keepdims=True)
    best = max(permutations(range(3)), key=lambda p: np.abs(to_ras[p, (0, 1, 2)]).sum())
    return "".join(
        _LETTERS[world][int(to_ras[world, axis] > 0)] for axis, world in enumerate(best)
    )


def _centroid(
    labels: LabelMap, which: range | list[int] | tuple[int, ...]
) -> Float[np.ndarray, " 3"]:
    """Mean position of the labels in mm along the array axes."""
    voxels = np.argwhere(np.isin(labels.data, list(which)))
    return voxels.mean(axis=0) * labels.grid.spacing_mm


LPBA40 = Download(
    name="lpba40",
    title="LPBA40: 40 skull-stripped T1 brains with 56 structures (21 to 182)",
    origin="https://resource.loni.usc.edu/resources/atlases-downloads "
    "(registration): LPBA40 Subjects Delineation Space",
    disk=(
        "delineation_space/S01/S01.delineation.skullstripped.hdr, .img.gz    image",
        "delineation_space/S01/S01.delineation.structure.label.hdr, .img.gz  labels",
        "...                                                        S01 to S40",
        "native_space/ is not used: it has no structures",
    ),
    find=partial(
        find_by_layouts,
        layouts=[
            Layout(
                image=r"(?:^|/)(?P<person>S\d\d)\.delineation\.skullstripped$",
                labels=r"(?:^|/)(?P<person>S\d\d)\.delineation\.structure\.label$",
                correct=orient_by_labels,
            )
        ],
        expected=[f"S{n:02}" for n in range(1, 41)],
    ),
    region="head",
    intensity_rule="foreground to 0..1",
    split="test",
    remark="left, right, front and top are taken from the labels",
)
