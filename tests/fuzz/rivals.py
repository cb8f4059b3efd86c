"""ITK's and nibabel's readings of a file, compared with the package's."""

import re

import nibabel
import numpy as np
import SimpleITK as sitk

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
_DISPLACEMENTS_IN_RAS = 1006
"""NIfTI's intent; ITK writes vectors of another intent, in LPS."""
_UNITS = (1.0, 1e-3, 1e3)
"""Factors to mm that a header may state: nibabel does not apply them."""


def verdict(kind, path, reading, probes_mm):
    """Which library agrees with the reading of a file; else how they differ."""
    if kind == "transform":
        return _compare_mapped(path, reading["mapped"], probes_mm)
    images, faults = [], []
    for name, read in (("ITK", _by_itk), ("nibabel", _by_nibabel)):
        try:
            images.append((name, *read(kind, path)))
        except Exception as error:
            faults.append(f"{name}: {str(error).strip().splitlines()[-1:]}"[:150])
    voxels = [name for name, data, _ in images if _same_voxels(reading, data)]
    places = [name for name, _, place in images if _same_place(reading, place)]
    if voxels and places:
        return "", f"voxels as {voxels[0]}, geometry as {places[0]}"
    told = f"voxels as {voxels}, geometry as {places}, {faults}"
    return (
        f"{told}, read {reading['voxels'].shape} {reading['affine'].round(3).tolist()}",
        "",
    )


def _by_itk(kind, path):
    if kind == "series":
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))
        image = sitk.ReadImage(files)
    else:
        image = sitk.ReadImage(str(path))
    dimensions = image.GetDimension()
    directions = np.array(image.GetDirection()).reshape(dimensions, dimensions)
    affine = np.eye(4)
    affine[:3, :3] = directions[:3, :3] * image.GetSpacing()[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    array = sitk.GetArrayFromImage(image)
    if kind == "field":
        return array.transpose(2, 1, 0, 3) * np.diag(_FLIP)[:3], _FLIP @ affine
    return array.T.reshape(image.GetSize()[:3]), _FLIP @ affine


def _by_nibabel(kind, path):
    image = nibabel.load(path)
    data = np.asarray(image.dataobj)
    if kind == "field":
        is_ras = int(image.header.get("intent_code", 0)) == _DISPLACEMENTS_IN_RAS
        flip = np.ones(3) if is_ras else np.diag(_FLIP)[:3]
        return data[:, :, :, 0, :] * flip, image.affine
    return data.reshape(data.shape[:3]), image.affine


def _same_voxels(reading, data):
    ours = reading["voxels"]
    if ours.shape != data.shape:
        return False
    with np.errstate(all="ignore"):
        if ours.dtype.kind in "iu" and data.dtype.kind in "iu":
            return np.array_equal(ours, data)
        return np.allclose(ours, data.astype(ours.dtype), rtol=1e-5, atol=1e-30)


def _same_place(reading, affine):
    with np.errstate(all="ignore"):
        scaled = [affine * [[f], [f], [f], [1.0]] for f in _UNITS]
        return any(
            np.allclose(reading["affine"], a, 1e-4, 1e-3 * f)
            for a, f in zip(scaled, _UNITS, strict=True)
        )


def _compare_mapped(path, mapped, probes_mm):
    try:
        transform = _read_transforms(path)
        lps = probes_mm * [-1.0, -1.0, 1.0]
        theirs = np.array([transform.TransformPoint(p.tolist()) for p in lps])
    except Exception as error:
        return f"ITK: {str(error).strip().splitlines()[-1:]}"[:150], ""
    worst = np.abs(theirs * [-1.0, -1.0, 1.0] - mapped).max()
    size = max(1.0, np.abs(mapped).max())
    if worst < 1e-4 * size:
        return "", "as ITK"
    return f"points up to {worst:.3g} mm from ITK's", ""


def _read_transforms(path):
    """ITK's transform; of a text with several, all, the last one applied first."""
    content = path.read_bytes()
    parts = re.split(rb"(?=#Transform \d+)", content)
    if not content.startswith(b"#Insight") or len(parts) < 3 or b"Composite" in content:
        return sitk.ReadTransform(str(path))
    transforms = []
    for n, part in enumerate(parts[1:]):
        single = path.with_name(f"part{n}.tfm")
        single.write_bytes(parts[0] + re.sub(rb"#Transform \d+", b"#Transform 0", part))
        transforms.append(sitk.ReadTransform(str(single)))
    return sitk.CompositeTransform(transforms)
