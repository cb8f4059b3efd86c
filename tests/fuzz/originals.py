"""Small files of every kind that the package reads, made by other libraries."""

import csv
import gzip
import json
from io import BytesIO

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import RLELossless

from fuzz import dicom

SHAPE = (9, 8, 7)
_SPACING_MM = (1.5, 2.0, 2.5)
_ORIGIN = (-20.0, 11.0, 31.0)
_ANGLES = (0.3, -0.2, 0.1)


def itk_image(array):
    """An oblique ITK image of an array (K, J, I), or of vectors (K, J, I, 3)."""
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
    image.SetSpacing(_SPACING_MM)
    image.SetOrigin(_ORIGIN)
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), *_ANGLES)
    image.SetDirection(turn.GetMatrix())
    return image


def intensities(dtype=np.float32):
    """Intensities (K, J, I) without symmetry."""
    noise = np.random.default_rng(1).uniform(0, 900, SHAPE[::-1])
    return noise.astype(dtype)


def labels():
    """Labels (K, J, I), the largest of more than 8 bits."""
    array = np.zeros(SHAPE[::-1], np.int16)
    array[1:4, 2:6, 2:7], array[4:6, 2:6, 2:7] = 3, 700
    return array


def vectors():
    """Displacements in mm (K, J, I, 3)."""
    noise = np.random.default_rng(2).normal(0, 1.5, (*SHAPE[::-1], 3))
    return noise.astype(np.float32)


def write_itk(name, make, *, is_compressed=False):
    """A function that writes an ITK image to a folder and returns its name."""

    def write(folder):
        sitk.WriteImage(itk_image(make()), str(folder / name), is_compressed)
        return name

    return write


def write_nibabel(name, kind, *, shear=0.0, units="mm"):
    """A function that writes an image by nibabel, with a slope and sheared axes."""

    def write(folder):
        affine = np.diag([*_SPACING_MM, 1.0])
        affine[0, 1], affine[:3, 3] = shear, _ORIGIN
        image = kind(intensities(np.int16).T, affine)
        if hasattr(image.header, "set_xyzt_units"):
            image.header.set_xyzt_units(units)
            image.header.set_slope_inter(0.5, 3.0)
        nibabel.save(image, folder / name)
        return name

    return write


def write_field_5d(folder):
    """A displacement field as ANTs writes it."""
    sitk.WriteImage(itk_image(vectors()), str(folder / "warp.nii"))
    plain = (folder / "warp.nii").read_bytes()
    (folder / "warp.nii").unlink()
    (folder / "warp.nii.gz").write_bytes(gzip.compress(plain, mtime=0))
    return "warp.nii.gz"


def write_dicom(folder):
    """A DICOM series of six slices."""
    for name, content in dicom.series(dicom.example()).items():
        (folder / name).write_bytes(content)
    return "."


def write_compressed_dicom(folder):
    """A DICOM series of six slices, compressed by RLE; GDCM reads no smaller ones."""
    for name, content in dicom.series(dicom.example((16, 14, 6))).items():
        header = pydicom.dcmread(BytesIO(content))
        header.compress(RLELossless)
        header.save_as(folder / name)
    return "."


def affine():
    """An affine ITK transform."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix((1.1, 0.05, 0, -0.02, 0.95, 0.1, 0, 0.03, 1.02))
    transform.SetTranslation((5.0, -4.0, 3.0))
    transform.SetCenter((1.0, 2.0, 3.0))
    return transform


def write_composite(folder):
    """An affine transform after a displacement field and a spline, in HDF5."""
    field = sitk.DisplacementFieldTransform(itk_image(vectors().astype(np.float64)))
    halves = vectors().astype(np.float64) / 2
    spline = sitk.BSplineTransform([itk_image(halves[..., n]) for n in range(3)], 3)
    composite = sitk.CompositeTransform([affine(), spline, field])
    sitk.WriteTransform(composite, str(folder / "t.h5"))
    return "t.h5"


def write_affine(name):
    """A function that writes an affine transform."""

    def write(folder):
        sitk.WriteTransform(affine(), str(folder / name))
        return name

    return write


def write_euler(folder):
    """A rigid transform in text."""
    transform = sitk.Euler3DTransform((1.0, 2.0, 3.0), *_ANGLES, (4.0, 5.0, 6.0))
    sitk.WriteTransform(transform, str(folder / "rigid.txt"))
    return "rigid.txt"


POSITIONS = [(1.5, -2.25, 3.0), (10.0, 20.5, -30.0), (-7.125, 0.0, 44.0)]
NAMES = ("AC", "PC", "left hook")


def write_points_csv(folder):
    """Points with a frame."""
    rows = [(*p, name, "LPS") for p, name in zip(POSITIONS, NAMES, strict=True)]
    return write_csv(folder / "p.csv", ("x", "y", "z", "name", "frame"), rows)


def write_fcsv(folder):
    """Points of old versions of Slicer."""
    rows = [
        f"id{n},{x},{y},{z},0,0,0,1,1,1,0,{name},,"
        for n, ((x, y, z), name) in enumerate(zip(POSITIONS, NAMES, strict=True))
    ]
    head = (
        "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n"
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
    )
    (folder / "p.fcsv").write_text(head + "\n".join(rows) + "\n")
    return "p.fcsv"


def write_markups(name):
    """A function that writes points of Slicer 5."""

    def write(folder):
        points = [
            {
                "id": str(n),
                "label": label,
                "position": list(p),
                "positionStatus": "defined",
            }
            for n, (p, label) in enumerate(zip(POSITIONS, NAMES, strict=True))
        ]
        markup = {
            "type": "Fiducial",
            "coordinateSystem": "LPS",
            "coordinateUnits": "mm",
            "controlPoints": points,
        }
        (folder / name).write_text(json.dumps({"markups": [markup]}))
        return name

    return write


def write_csv(path, header, rows):
    """Writes a table; returns the name of its file."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([header, *rows])
    return path.name


def write_manifest(folder):
    """A manifest of four scans, whose files are there."""
    rows = []
    for n, split in enumerate(("train", "train", "val", "test")):
        files = (f"image{n}.nii.gz", f"labels{n}.nii.gz")
        array = intensities() + n
        sitk.WriteImage(itk_image(array), str(folder / files[0]))
        sitk.WriteImage(itk_image(labels()), str(folder / files[1]))
        rows.append((f"case{n}", *files, split, f"person{n}"))
    return write_csv(
        folder / "cases.csv", ("case", "image", "labels", "split", "subject"), rows
    )
