"""Scans of one blob in known places, and scans that are broken in known ways."""

import gzip
from pathlib import Path

import nibabel
import numpy as np

from voltween import io
from voltween.spatial import Grid, Image, LabelMap, Points

SHAPE = (20, 18, 16)


def phantom_grid(shift_mm=(0, 0, 0)):
    """A grid of 2 mm voxels, shifted."""
    return Grid.centered(
        SHAPE,
        center_mm=np.array(shift_mm, float),
        spacing_mm=(2.0, 2.0, 2.0),
        directions=np.eye(3),
    )


def phantom(shift_mm=(0, 0, 0)):
    """A bright ellipsoid with a core, moved with its grid; its labels."""
    grid = phantom_grid(shift_mm)
    offset = grid.voxel_centers_mm() - grid.center_mm
    radius = np.linalg.norm(offset / (1.3, 1.0, 0.8), axis=-1)
    core = np.linalg.norm(offset - (5, 2, 1), axis=-1) < 4
    labels = (radius < 11).astype(np.uint8) + core
    noise = np.random.default_rng(0).uniform(0, 5, SHAPE)
    return Image(400.0 * (labels > 0) + 300 * core + noise, grid), LabelMap(
        labels, grid
    )


def write_phantoms(folder, shifts_mm):
    """Writes scans, label maps and one point each of moved phantoms, by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shift in shifts_mm.items():
        image, labels = phantom(shift)
        io.write(image, folder / f"{name}.nii.gz")
        io.write(labels, folder / f"{name}_labels.nii.gz")
        io.write(Points(np.array([shift], float), ("middle",)), folder / f"{name}.csv")
    return folder


def write_manifest_of(folder, names, *, roles=("labels", "points")):
    """Writes a manifest of phantoms, with the subjects that their names begin with."""
    lines = ["case,image,labels,points,split,subject"]
    for name in names:
        labels = f"{name}_labels.nii.gz" if "labels" in roles else ""
        points = f"{name}.csv" if "points" in roles else ""
        subject = name.split("-")[0]
        lines.append(f"{name},{name}.nii.gz,{labels},{points},test,{subject}")
    (folder / "cases.csv").write_text("\n".join(lines))
    return folder / "cases.csv"


def _write_array(path, data):
    nibabel.save(nibabel.Nifti1Image(data.astype(np.float32), np.eye(4)), path)


def _with_nan(path):
    data = phantom()[0].data.copy()
    data[3, 3, 3] = np.nan
    _write_array(path, data)


def _truncated(path):
    io.write(phantom()[0], path)
    path.write_bytes(path.read_bytes()[:-400])


def _of_wrong_header(path):
    """Sizes in the header that the voxels do not fill."""
    io.write(phantom()[0], path)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[42:44] = (200).to_bytes(2, "little")
    path.write_bytes(gzip.compress(bytes(content), mtime=0))


BROKEN = {
    "missing": (lambda path: None, "expected a file"),
    "truncated": (_truncated, "cut short"),
    "empty": (Path.touch, "an empty file"),
    "constant": (lambda path: _write_array(path, np.ones(SHAPE)), "constant"),
    "nan": (_with_nan, "NaN"),
    "flat": (lambda path: _write_array(path, np.ones((9, 9))), "expected one 3D image"),
    "header": (_of_wrong_header, "cut short"),
    "text": (lambda path: path.write_text("no scan"), "damaged, cut short"),
}
"""Ways to break a scan, with a part of the line that says so."""
