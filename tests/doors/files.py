"""Good and bad files of every kind that a door takes, by guard."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from support.scans import FIXED, label_blocks, tiny_model
from voltween import io
from voltween.models import save_model
from voltween.spatial import Points

GUARDS = (
    *("cut short", "NaN", "units", "geometry", "several", "capitals"),
    *("pipe", "empty", "folder", "overwritten"),
)
SPACING_MM = 0.025
"""Voxel size of the images in micrometers."""
_HEAD = "#Insight Transform File V1.0\n"
_SHIFT = "#Transform {n}\nTransform: TranslationTransform_double_3_3\nParameters: {p}\n"
_FIXED = "FixedParameters:\n\n"


@dataclass(frozen=True)
class Bad:
    """A way to spoil a file."""

    write: Callable[[Path, Path], Path]
    """Writes the file to a folder, from a good one; returns its path."""
    accepts: Callable[[object], bool] | None = None
    """Whether what was read is right; None if the file must be refused."""


def cut(folder, good, name=None):
    """The first half of a file."""
    content = good.read_bytes()
    return _put(folder / (name or good.name), content[: len(content) // 2])


def cut_in_capitals(folder, good):
    """The first half, under a name in capitals."""
    return cut(folder, good, good.name.upper())


def cut_last(folder, good):
    """A table whose last cell is cut."""
    return _put(folder / good.name, good.read_bytes()[:-2])


def cut_last_in_capitals(folder, good):
    """The same under a name in capitals."""
    return _put(folder / good.name.upper(), good.read_bytes()[:-2])


def cut_after_sign(folder, good):
    """TOML that ends after the equals sign of its last key."""
    content = good.read_bytes()
    return _put(folder / good.name, content[: content.rindex(b"=") + 1])


def empty(folder, good):
    """A file of no bytes."""
    return _put(folder / good.name, b"")


def directory(folder, good):
    """A folder of the file's name."""
    (folder / good.name).mkdir()
    return folder / good.name


def volume(folder, good, *, change=None, affine=None, units="mm", count=1):
    """A NIfTI image like the good one, with changes."""
    stored = nibabel.load(good)
    data = np.asarray(stored.dataobj).astype(np.float32)
    if change is not None:
        data[3, 3, 3] = change
    if count > 1:
        data = np.stack([data] * count, axis=-1)
    image = nibabel.Nifti1Image(data, stored.affine if affine is None else affine)
    image.header.set_xyzt_units(units)
    path = folder / "spoiled.nii.gz"
    nibabel.save(image, path)
    return path


def in_micrometers(folder, good):
    """An image whose affine, which is sheared, is in micrometers."""
    affine = np.diag([1e3 * SPACING_MM] * 3 + [1.0])
    affine[0, 1] = 1.0
    return volume(folder, good, affine=affine, units="micron")


def flat(folder, good):
    """An image whose axes lie in a plane, and without another affine."""
    path = volume(folder, good)
    image = nibabel.load(path)
    affine = np.diag([1.0, 1.0, 0.0, 1.0])
    content = nibabel.Nifti1Image(np.asarray(image.dataobj), np.eye(4))
    content.set_qform(None, 0)
    content.header["sform_code"] = 1
    for axis, name in enumerate(("srow_x", "srow_y", "srow_z")):
        content.header[name] = affine[axis]
    raw = folder / "flat.nii"
    raw.write_bytes(content.header.binaryblock + b"\0" * 4 + _voxels(content))
    return raw


def _voxels(image):
    return np.asarray(image.dataobj).astype("<f4").tobytes(order="F")


def has_millimeters(read):
    """Whether an image in micrometers has its spacing in mm."""
    return np.allclose(read.grid.spacing_mm, SPACING_MM, rtol=1e-2)


def text_file(name, *contents):
    """A writer of a text file that stands for the good one."""

    def write(folder, good):
        return _put(folder / name, "".join(contents).encode())

    return write


def replaced(old, new):
    """A writer of the good file with a text in place of another."""

    def write(folder, good):
        content = good.read_text("utf-8")
        assert old in content, (old, content)
        return _put(folder / good.name, content.replace(old, new, 1).encode())

    return write


def shifts(*vectors):
    """A text file of translations."""
    parts = [_SHIFT.format(n=n, p=p) + _FIXED for n, p in enumerate(vectors)]
    return text_file("shifts.txt", _HEAD, *parts)


def has_both_shifts(read):
    """Whether two translations of 10 and 7 mm along z were both read."""
    moved = read.map_points(Points(np.zeros((1, 3)))).mm
    return np.allclose(moved, [[0.0, 0.0, 17.0]])


def markups(folder, good, **changes):
    """Slicer's points, some of them changed."""
    content = json.loads(good.read_text("utf-8"))
    content["markups"][0] |= changes
    return _put(folder / good.name, json.dumps(content).encode())


def in_other_units(folder, good):
    """Points in micrometers."""
    return markups(folder, good, coordinateUnits="um")


def unplaced(folder, good):
    """Points of which the first has no position yet."""
    content = json.loads(good.read_text("utf-8"))
    point = content["markups"][0]["controlPoints"][0]
    point |= {"positionStatus": "undefined", "position": [0.0, 0.0, 0.0]}
    return _put(folder / good.name, json.dumps(content).encode())


def two_lists(folder, good):
    """A file with two lists of points."""
    content = json.loads(good.read_text("utf-8"))
    content["markups"] *= 2
    return _put(folder / good.name, json.dumps(content).encode())


def nan_point(folder, good):
    """A point that is not a number."""
    content = json.loads(good.read_text("utf-8"))
    content["markups"][0]["controlPoints"][0]["position"][1] = float("nan")
    return _put(folder / good.name, json.dumps(content).encode())


def nan_weight(folder, good):
    """A model with a weight that is not a number."""
    content = good.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    start = 8 + length
    spoiled = content[:start] + struct.pack("<e", float("nan")) + content[start + 2 :]
    return _put(folder / good.name, spoiled)


def nan_variable(folder, good):
    """A checkpoint with variables that are not numbers."""
    with np.load(good) as arrays:
        variables = dict(arrays)
    name = next(n for n, a in variables.items() if n.endswith("/W"))
    variables[name] = variables[name] * np.nan
    np.savez(folder / good.name, **variables)
    return folder / good.name


def _put(path, content):
    path.write_bytes(content)
    return path


_ANY = {
    "cut short": Bad(cut),
    "capitals": Bad(cut_in_capitals),
    "empty": Bad(empty),
    "folder": Bad(directory),
}
_TABLE = _ANY | {
    "cut short": Bad(cut_last),
    "capitals": Bad(cut_last_in_capitals),
}
_TOML = {g: _ANY[g] for g in ("empty", "folder")} | {"cut short": Bad(cut_after_sign)}
_VOLUME = _ANY | {
    "NaN": Bad(lambda f, good: volume(f, good, change=np.nan)),
    "units": Bad(in_micrometers, has_millimeters),
    "geometry": Bad(flat),
    "several": Bad(lambda f, good: volume(f, good, count=2)),
}
BAD = {
    "image": _VOLUME,
    "labels": _VOLUME,
    "transform": _ANY
    | {
        "NaN": Bad(shifts("0 nan 0")),
        "geometry": Bad(
            text_file(
                "flat.tfm",
                _HEAD,
                "#Transform 0\nTransform: AffineTransform_double_3_3\n",
                "Parameters: 1 0 0 0 1 0 0 0 0 0 0 0\nFixedParameters: 0 0 0\n",
            )
        ),
        "several": Bad(shifts("0 0 10", "0 0 7"), has_both_shifts),
    },
    "points": _ANY
    | {
        "NaN": Bad(nan_point),
        "units": Bad(in_other_units, lambda read: np.abs(read.mm).max() < 1.0),
        "geometry": Bad(unplaced, lambda read: len(read.mm) == 1),
        "several": Bad(two_lists, lambda read: len(read.mm) == 4),
    },
    "manifest": _TABLE | {"several": Bad(replaced("case1,", "case0,"))},
    "pairs": _TABLE
    | {"several": Bad(text_file("p.csv", "fixed,fixed,moving\na,b,c\n"))},
    "splits": _TABLE | {"several": Bad(replaced("\n", "\nanna,train\nanna,val\n"))},
    "structures": _ANY
    | {
        "NaN": Bad(replaced("1,", "nan,")),
        "several": Bad(replaced("1,", "1,two\n1,")),
    },
    "names": {g: _ANY[g] for g in ("empty", "folder")},
    "model": _ANY | {"NaN": Bad(nan_weight)},
    "checkpoint": _ANY | {"NaN": Bad(nan_variable)},
    "plan": _TOML | {"NaN": Bad(replaced("spacing_mm = [1.5", "spacing_mm = [nan"))},
    "table": _TOML | {"NaN": Bad(replaced("row]]\n", "row]]\ntrain_share = nan\n"))},
}

# Why a guard does not concern a kind of file.
_TABLES = ("manifest", "pairs", "splits", "names")
_SETTINGS = ("structures", "model", "checkpoint", "plan", "table")
REASONS = {
    **{(k, "NaN"): "it holds no numbers" for k in _TABLES},
    **{
        (k, "units"): "it holds no lengths in other units"
        for k in (*_TABLES, *_SETTINGS)
    },
    **{(k, "geometry"): "it holds no positions" for k in (*_TABLES, *_SETTINGS)},
    ("transform", "units"): "ITK's transforms are in mm",
    ("names", "several"): "a name twice is that name",
    ("names", "cut short"): "a shorter list is a list",
    ("names", "capitals"): "a shorter list is a list",
    **{
        (k, "capitals"): "the name's suffix says that it is TOML"
        for k in ("plan", "table")
    },
    ("model", "several"): "its format holds one model",
    ("checkpoint", "several"): "its format holds one network",
    ("plan", "several"): "TOML refuses a key that stands twice: cut short",
    ("table", "several"): "several rows are what it is for",
}


def write_good(folder):
    """Writes a good file of every kind; returns their paths."""
    image, labels = folder / "image.nii.gz", folder / "labels.nii.gz"
    io.write(FIXED, image)
    io.write(label_blocks(FIXED.grid), labels)
    transform = folder / "transform.h5"
    io.write(_transform(), transform)
    points = folder / "points.mrk.json"
    mm = FIXED.grid.center_mm + np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]])
    io.write(Points(mm, ("one", "two")), points)
    model = save_model(tiny_model(strength=0.1), folder / "tiny.safetensors")
    return {
        "image": image,
        "labels": labels,
        "transform": transform,
        "points": points,
        "model": model,
        **_write_texts(folder),
    }


def _write_texts(folder):
    texts = {
        "pairs": ("pairs.csv", "fixed,moving\ncase2,case3\n"),
        "splits": ("splits.csv", "case,split\nanna,train\nben,val\n"),
        "structures": ("structures.csv", "label,name\n1,one\n2,two\n"),
        "names": ("names.txt", "anna\n"),
    }
    return {kind: _put(folder / n, t.encode()) for kind, (n, t) in texts.items()}


def _transform():
    from support.scans import TO_MOVING, oblique_grid, smooth_field

    return smooth_field(oblique_grid()) @ TO_MOVING
