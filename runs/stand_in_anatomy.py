"""Anatomy of the stand-ins for the paper's scans: a trunk in CT, a head in MR.

An individual is the anatomy after a random smooth deformation, so that its labels and
landmarks are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voltween.demo.demo import icbm152
from voltween.demo.individuals import Individuality, draw_geometry, make_individual
from voltween.spatial import (
    Grid,
    Image,
    LabelMap,
    Points,
    Transform,
    resample_smoothly,
)

Positions = Float[np.ndarray, "i j k 3"]
Mask = Bool[np.ndarray, "i j k"]
Place = tuple[float, float, float]

LIVER, TUMOR = 1, 2
_CORRECTIONS = 10

_CT_NOISE = 12.0  # Hounsfield units
_TRUNK_MM = (352.0, 256.0, 256.0)  # field of view of the CT along R, A, S

# Branching points of the portal vein, in mm from the middle of the trunk.
_PORTAL, _SUPERIOR, _INFERIOR, _LEFT = (
    (32, 0, -5),
    (72, 8, 25),
    (76, -2, -32),
    (-22, 32, 18),
)
_VESSELS: tuple[tuple[Place, Place, float], ...] = (  # from, to, radius in mm
    ((12, -18, -128), _PORTAL, 9.0),
    (_PORTAL, _SUPERIOR, 7.0),
    (_PORTAL, _INFERIOR, 7.0),
    (_PORTAL, _LEFT, 6.0),
    (_SUPERIOR, (104, 22, 44), 5.0),
    (_SUPERIOR, (96, -26, 48), 5.0),
    (_INFERIOR, (108, 20, -46), 5.0),
    (_INFERIOR, (100, -32, -52), 5.0),
    (_LEFT, (-54, 40, 32), 5.0),
    (_LEFT, (-48, 30, 4), 5.0),
)
_AORTA: tuple[Place, Place, float] = ((-10, -42, -300), (-10, -42, 300), 12.0)

# As the paper's footnote 2: of the midline and the ventricles, in mm of the template.
_BRAIN_LANDMARKS: dict[str, Place] = {
    "L1": (30, -48, 6),
    "L2": (-30, -48, 6),
    "L3": (0, 2, -4),
    "L4": (14, -8, 25),
    "L5": (32, -22, -14),
    "L6": (-14, -8, 25),
    "L7": (-32, -22, -14),
    "L8": (0, -8, 16),
    "L9": (0, -26, -2),
    "L10": (12, 22, 4),
    "L11": (-12, 22, 4),
    "L12": (0, -34, 16),
    "L13": (0, 12, 16),
    "L14": (0, -4, 29),
    "L15": (0, 32, 6),
    "L16": (0, 24, 2),
    "L17": (0, -24, 20),
    "L18": (0, -32, 0),
}
# Structures of LPBA40 on the left; those on the right have the next number.
_FRONTAL, _PARIETAL, _OCCIPITAL, _TEMPORAL = 21, 41, 61, 81
_CEREBELLUM, _BRAINSTEM = 181, 182
_DEEP: dict[int, tuple[Place, Place]] = {  # center on the right, radii
    161: ((13, 10, 12), (7, 15, 11)),  # caudate
    163: ((26, 4, 2), (8, 17, 11)),  # putamen
    165: ((28, -22, -14), (9, 19, 9)),  # hippocampus
}
_SKULL_MM, _SCALP_MM = 7.0, 14.0  # outer borders, from the brain
_SCALP_INTENSITY = 0.7  # of the brightest voxel


@dataclass(frozen=True, eq=False)
class Anatomy:
    """An image with labels and landmarks."""

    image: Image
    labels: LabelMap
    landmarks: Points


def scan_trunk(character: Individuality) -> Anatomy:
    """A CT of an individual: liver 1, tumor 2, landmarks L1 to L4."""
    template = _trunk()
    rng = np.random.default_rng(character.seed)
    to_template, grid = draw_geometry(template.image.grid, character, rng)
    units = to_template.resample(template.image, onto=grid).data
    noise = rng.normal(0, _CT_NOISE, grid.shape)
    return Anatomy(
        Image(np.rint(units + noise).clip(-1024, 3071), grid),
        to_template.resample(template.labels, onto=grid),
        _carried_back(template.landmarks, to_template),
    )


def scan_head(character: Individuality, *, stripped: bool = False) -> Anatomy:
    """An MR scan of an individual, with structures as in LPBA40 and 18 landmarks."""
    template = _brain() if stripped else _head()
    individual = make_individual(template.image, template.labels, character)
    landmarks = _carried_back(template.landmarks, individual.to_template)
    return Anatomy(individual.image, individual.labels, landmarks)


def _carried_back(template: Points, to_template: Transform) -> Points:
    """The individual's points that the transform maps to those of the template.

    The transform is nearly a shift, so that correcting by the error converges.
    """
    mm = template.mm.copy()
    for _ in range(_CORRECTIONS):
        mm += template.mm - to_template.map_positions(mm)
    return Points(mm, template.names)


@cache
def _trunk() -> Anatomy:
    spacing_mm = 4.0
    i, j, k = (round(mm / spacing_mm) for mm in _TRUNK_MM)
    grid = Grid.centered(
        (i, j, k),
        center_mm=np.zeros(3),
        spacing_mm=(spacing_mm,) * 3,
        directions=np.eye(3),
    )
    mm = grid.voxel_centers_mm()
    units = np.full(grid.shape, -1000.0)
    for inside, value in _trunk_tissues(mm):
        units[inside] = value
    liver = _liver(mm)
    tumor = _ball(mm, (88, -30, 0), (14, 14, 14))
    units[liver] = 105
    units[tumor] = 55
    for begin, end, radius_mm in _VESSELS:
        units[_tube(mm, begin, end, radius_mm)] = 190
    labels = np.where(liver, np.where(tumor, TUMOR, LIVER), 0).astype(np.uint8)
    landmarks = np.array([_PORTAL, _SUPERIOR, _INFERIOR, _LEFT], float)
    return Anatomy(
        Image(ndimage.gaussian_filter(units, 0.6), grid),
        LabelMap(labels, grid),
        Points(landmarks, ("L1", "L2", "L3", "L4")),
    )


def _trunk_tissues(mm: Positions) -> list[tuple[Mask, float]]:
    """Masks and Hounsfield units of everything but the liver; later ones cover."""
    r, a, s = np.moveaxis(mm, -1, 0)
    wall = (r / 146) ** 2 + (a / 96) ** 2
    ribs = (
        (wall > 0.84) & (wall < 0.96) & (np.cos(2 * np.pi * (s + 0.3 * a) / 36) > 0.4)
    )
    return [
        ((r / 160) ** 2 + (a / 110) ** 2 < 1, -95),  # fat
        ((wall < 1) & (wall > 0.8), 55),  # muscle
        (ribs, 320),
        (_ball(mm, (-92, -30, 30), (34, 40, 48)), 120),  # spleen
        (_ball(mm, (72, -48, -96), (28, 24, 44)), 170),  # kidneys
        (_ball(mm, (-72, -48, -90), (28, 24, 44)), 170),
        (_ball(mm, (-62, 28, -25), (44, 34, 44)), 30),  # stomach, with gas
        (_ball(mm, (-62, 42, -25), (26, 14, 26)), -850),
        (r**2 + (a + 72) ** 2 < 24**2, 260),  # spine
        (r**2 + (a + 92) ** 2 < 9**2, 20),
        (_tube(mm, *_AORTA), 210),
    ]


def _liver(mm: Positions) -> Mask:
    right = _ball(mm, (62, 0, 0), (66, 66, 82))
    left = _ball(mm, (-18, 36, 18), (62, 26, 32))
    spine = _ball(mm, (0, -80, 0), (42, 42, 400))
    return (right | left) & ~spine


def brain_mask(labels: LabelMap) -> LabelMap:
    """The brain with its ventricles, from its structures."""
    closed = ndimage.binary_closing(np.pad(labels.data > 0, 2), iterations=2)
    filled = ndimage.binary_fill_holes(closed)[2:-2, 2:-2, 2:-2]
    return LabelMap(filled.astype(np.uint8), labels.grid)


@cache
def _brain() -> Anatomy:
    """The ICBM152 template without a skull, in voxels of 2 mm."""
    image, tissues = icbm152()
    sizes = np.ceil(np.array(image.grid.shape) / 2).astype(int)
    grid = Grid.centered(
        (int(sizes[0]), int(sizes[1]), int(sizes[2])),
        center_mm=image.grid.center_mm,
        spacing_mm=(2.0, 2.0, 2.0),
        directions=np.eye(3),
    )
    coarse = resample_smoothly(image, onto=grid)
    is_brain = resample_smoothly(
        Image((tissues.data > 0).astype(float), image.grid), onto=grid
    )
    mm = np.array(list(_BRAIN_LANDMARKS.values()), float)
    return Anatomy(
        coarse,
        LabelMap(_structures(grid.voxel_centers_mm(), is_brain.data > 0.5), grid),
        Points(mm, tuple(_BRAIN_LANDMARKS)),
    )


@cache
def _head() -> Anatomy:
    """The template in a dark skull and a bright scalp."""
    brain = _brain()
    brightest = brain.image.data.max()
    is_brain = ndimage.binary_fill_holes(brain.image.data > 0.05 * brightest)
    distance_mm = ndimage.distance_transform_edt(~is_brain) * 2.0
    scalp = (distance_mm > _SKULL_MM) & (distance_mm < _SCALP_MM)
    data = np.where(scalp, _SCALP_INTENSITY * brightest, brain.image.data)
    image = Image(ndimage.gaussian_filter(data, 0.5), brain.image.grid)
    return Anatomy(image, brain.labels, brain.landmarks)


def _structures(mm: Positions, is_brain: Mask) -> np.ndarray:
    """Structures of LPBA40 by place: boxes for lobes, ellipsoids deep in the brain."""
    r, a, s = np.moveaxis(mm, -1, 0)
    lobes = np.select(
        [(s < 8) & (abs(r) > 28) & (a > -60) & (a < 18), a > -10, a < -65],
        [_TEMPORAL, _FRONTAL, _OCCIPITAL],
        _PARIETAL,
    )
    for structure, (center, radii) in _DEEP.items():
        mirrored = np.stack([abs(r), a, s], axis=-1)
        lobes[_ball(mirrored, center, radii)] = structure
    sided = lobes + (r > 0)
    sided[(s < -18) & (a < -40) & (abs(r) < 55)] = _CEREBELLUM
    sided[(s < -8) & (a < -8) & (a > -42) & (abs(r) < 15)] = _BRAINSTEM
    return np.where(is_brain, sided, 0).astype(np.int16)


def _ball(mm: Positions, center: Sequence[float], radii: Sequence[float]) -> Mask:
    """Whether positions are inside an ellipsoid."""
    return np.square((mm - np.array(center)) / np.array(radii)).sum(axis=-1) < 1


def _tube(mm: Positions, begin: Place, end: Place, radius_mm: float) -> Mask:
    """Whether positions are nearer than the radius to a straight line."""
    axis = np.subtract(end, begin)
    share = ((mm - np.array(begin)) @ axis / (axis @ axis)).clip(0, 1)
    nearest = np.array(begin) + share[..., None] * axis
    return np.linalg.norm(mm - nearest, axis=-1) < radius_mm
