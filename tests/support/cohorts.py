"""Small cohorts on disk, with labels, in mixed storage orders.

`write_cohort`: blobs that differ in place and shape, in no unit. `write_ct_cohort`: a
body with a bone in Hounsfield units, off the center of tilted scans.
"""

import csv

import numpy as np
from scipy.ndimage import gaussian_filter

from support.scans import STORAGE_ORDERS, oblique_grid, stored
from voltween import io
from voltween.spatial import Grid, Image, LabelMap, directions_to_ras

# As stored: RAS, LPI, permuted, permuted and flipped.
CT_ORDERS = [
    ((0, 1, 2), (False, False, False)),
    ((0, 1, 2), (True, True, True)),
    ((2, 0, 1), (False, False, False)),
    ((1, 2, 0), (True, False, True)),
]

LIVER, SPLEEN = 1, 2  # labels of `trunk`


def blob(seed, shape=(18, 18, 18)):
    """A bright ellipsoid with a core, shifted and stretched by the seed; its labels."""
    rng = np.random.default_rng(seed)
    grid = Grid.centered(
        shape,
        center_mm=rng.uniform(-20, 20, 3),
        spacing_mm=(2.0, 2.0, 2.0),
        directions=np.eye(3),
    )
    offset = grid.voxel_centers_mm() - grid.center_mm - rng.uniform(-4, 4, 3)
    radius = np.linalg.norm(offset / rng.uniform(0.8, 1.2, 3), axis=-1)
    labels = (radius < 11).astype(np.uint8) + (radius < 6)
    data = gaussian_filter(400.0 * (labels > 0) + 300 * (labels > 1), 0.8)
    data += rng.uniform(0, 10, shape)
    return Image(data, grid), LabelMap(labels, grid)


def trunk(spacing_mm=5.0):
    """A CT of fat, muscle, spine, liver and a large spleen; labels of the last two."""
    shape = (72, 52, 48)
    grid = Grid.centered(
        shape,
        center_mm=np.array([12.0, -30.0, 200.0]),
        spacing_mm=(spacing_mm,) * 3,
        directions=np.eye(3),
    )
    r, a, s = np.moveaxis(grid.voxel_centers_mm() - grid.center_mm, -1, 0)
    hounsfield = np.full(shape, -1000.0)
    hounsfield[(r / 165) ** 2 + (a / 115) ** 2 < 1] = -90  # fat
    ring = (r / 150) ** 2 + (a / 100) ** 2
    hounsfield[(ring < 1) & (ring > 0.75)] = 50  # muscle
    hounsfield[r**2 + (a + 75) ** 2 < 20**2] = 400  # spine
    labels = np.zeros(shape, np.uint8)
    labels[((r + 75) / 50) ** 2 + (a / 65) ** 2 + (s / 100) ** 2 < 1] = SPLEEN
    labels[((r - 55) / 60) ** 2 + ((a - 5) / 60) ** 2 + (s / 75) ** 2 < 1] = LIVER
    lobe = (np.abs(r + 20) < 45) & (np.abs(a - 35) < 12) & (np.abs(s - 30) < 20)
    labels[lobe & (labels == 0)] = LIVER
    hounsfield[labels > 0] = 110
    noise = np.random.default_rng(0).normal(0, 15, shape)
    return Image(hounsfield + noise, grid), LabelMap(labels, grid)


def write_cohort(folder, train=4, val=2, test=0, suffix=".nii.gz"):
    """Blobs in mixed storage orders and a manifest; returns the manifest's path."""
    rows = []
    splits = ["train"] * train + ["val"] * val + ["test"] * test
    for number, split in enumerate(splits):
        image, labels = (
            stored(v, STORAGE_ORDERS[number * 11 % 48]) for v in blob(number)
        )
        io.write(image, folder / f"image{number}{suffix}")
        io.write(labels, folder / f"labels{number}{suffix}")
        rows.append(
            [
                f"case{number}",
                f"image{number}{suffix}",
                f"labels{number}{suffix}",
                split,
            ]
        )
    with (folder / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["case", "image", "labels", "split"], *rows])
    return folder / "cases.csv"


def ct_scan(seed):
    """A small body with a bone in Hounsfield units, off the middle of a tilted scan."""
    rng = np.random.default_rng(seed)
    grid = oblique_grid((32, 30, 28), seed, spacing_mm=(2.0, 2.0, 2.0))
    along = (grid.voxel_centers_mm() - grid.center_mm) @ directions_to_ras(grid)
    along = along - rng.uniform(-12, 12, 3)
    body = np.square(along / (13.0, 10.5, 12.0)).sum(axis=-1) < 1
    bone = np.square(along / (5.0, 4.0, 6.0)).sum(axis=-1) < 1
    units = np.where(bone, 1300.0, np.where(body, 40.0, -1000.0))
    units = gaussian_filter(units, 0.5) + rng.normal(0, 15, grid.shape)
    labels = body.astype(np.uint8) + bone
    return Image(units.clip(-1024, None), grid), LabelMap(labels, grid)


def write_ct_cohort(folder, offsets=(0, 0, 0, 0, 0, 0)):
    """Four training and two validation scans as NRRD in mixed orientations."""
    lines = ["case,image,labels,split"]
    for n, offset in enumerate(offsets):
        image, labels = (stored(v, CT_ORDERS[n % 4]) for v in ct_scan(n))
        io.write(Image(image.data + offset, image.grid), folder / f"image{n}.nrrd")
        io.write(labels, folder / f"labels{n}.nrrd")
        split = "train" if n < 4 else "val"
        lines.append(f"case{n},image{n}.nrrd,labels{n}.nrrd,{split}")
    (folder / "cases.csv").write_text("\n".join(lines))
    return folder / "cases.csv"


def write_label_maps(folder, train=4, val=2, cohorts=("",)):
    """The label maps of `write_cohort` alone; returns the path of their manifest.

    The cases are of the cohorts by turns.
    """
    write_cohort(folder, train, val)
    splits = ["train"] * train + ["val"] * val
    rows = [
        [f"case{n}", f"labels{n}.nii.gz", split, cohorts[n % len(cohorts)]]
        for n, split in enumerate(splits)
    ]
    with (folder / "maps.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["case", "labels", "split", "cohort"], *rows])
    return folder / "maps.csv"
