"""Every reader of the package: its original file, how it is read, and its rivals."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel

from fuzz import originals as made
from fuzz import readings

_IMAGES = (".nii", ".nii.gz", ".nrrd", ".mha", ".NII.GZ", ".txt", "")


@dataclass(frozen=True)
class Subject:
    """A reader and a file that it reads."""

    name: str
    write: Callable[[Path], str]
    """Writes the original to a folder; returns the name of what is read."""
    read: Callable[[Path], dict | None]
    """Reads by the package: arrays by name; None for what counts as missing."""
    rival: str = ""
    """Kind of thing that ITK or nibabel reads, too: image, field, transform."""
    suffixes: tuple[str, ...] = ()
    """Suffixes under which the file is tried as well."""
    changed: str = "*"
    """The files of the folder that are mutated."""


def _image(name, write):
    return Subject(name, write, readings.image, "image", _IMAGES)


def _labels(name, write):
    return Subject(name, write, readings.labels, "image", _IMAGES)


def _field(name, write):
    return Subject(name, write, readings.transform, "field", (*_IMAGES, ".h5", ".tfm"))


def _transform(name, write):
    suffixes = (".h5", ".tfm", ".txt", ".mat", ".nii.gz", ".H5", ".lta", "")
    return Subject(name, write, readings.transform, "transform", suffixes)


def _points(name, write):
    suffixes = (".csv", ".fcsv", ".mrk.json", ".json", ".CSV", ".txt", "")
    return Subject(name, write, readings.points, suffixes=suffixes)


nii, nrrd, mha = (
    partial(made.write_itk, f"scan{s}") for s in (".nii", ".nrrd", ".mha")
)
_plain = made.intensities

SUBJECTS = (
    _image("image .nii", nii(_plain)),
    _image(
        "image .nii, sheared",
        made.write_nibabel("scan.nii", nibabel.Nifti1Image, shear=0.4, units="micron"),
    ),
    _image("image .nii.gz", made.write_itk("scan.nii.gz", _plain)),
    _image(
        "image .nii.gz, scaled", made.write_nibabel("scan.nii.gz", nibabel.Nifti1Image)
    ),
    _image("image NIfTI-2", made.write_nibabel("scan.nii", nibabel.Nifti2Image)),
    _image("image .hdr/.img", made.write_nibabel("scan.img", nibabel.Nifti1Pair)),
    _image("image .nrrd", nrrd(_plain)),
    _image("image .nrrd, compressed", nrrd(_plain, is_compressed=True)),
    _image("image .nhdr", made.write_itk("scan.nhdr", _plain)),
    _image("image .mha", mha(_plain)),
    _image("image .mha, compressed", mha(_plain, is_compressed=True)),
    _image("image .mhd", made.write_itk("scan.mhd", _plain)),
    _image(
        "image .mhd, compressed", made.write_itk("scan.mhd", _plain, is_compressed=True)
    ),
    _image("image .mgz", made.write_nibabel("scan.mgz", nibabel.MGHImage)),
    Subject("DICOM folder", made.write_dicom, readings.image, "series"),
    Subject(
        "DICOM folder, compressed",
        made.write_compressed_dicom,
        readings.image,
        "series",
    ),
    _labels("labels .nii.gz", made.write_itk("labels.nii.gz", made.labels)),
    _labels(
        "labels .nrrd, compressed",
        made.write_itk("labels.nrrd", made.labels, is_compressed=True),
    ),
    _field("field .nii", made.write_itk("warp.nii", made.vectors)),
    _field("field .nii.gz", made.write_field_5d),
    _field(
        "field .nrrd, compressed",
        made.write_itk("warp.nrrd", made.vectors, is_compressed=True),
    ),
    _field("field .mha", made.write_itk("warp.mha", made.vectors)),
    _transform("transform .h5", made.write_composite),
    _transform("transform .h5, affine", made.write_affine("t.h5")),
    _transform("transform .tfm", made.write_affine("t.tfm")),
    _transform("transform .txt", made.write_euler),
    _transform("transform .mat", made.write_affine("t.mat")),
    _points("points .csv", made.write_points_csv),
    _points("points .fcsv", made.write_fcsv),
    _points("points .mrk.json", made.write_markups("p.mrk.json")),
    _points("points .json", made.write_markups("p.json")),
    Subject(
        "manifest cases.csv",
        made.write_manifest,
        readings.manifest,
        changed="cases.csv",
    ),
    Subject("pairs.csv", readings.write_pairs, readings.pairs),
    Subject("splits.csv", readings.write_splits, readings.splits),
    Subject("structures.csv", readings.write_structures, readings.structures),
    Subject("list of cases", readings.write_names, readings.names),
    Subject("record", readings.write_record, readings.record),
    Subject("methods.json", readings.write_methods, readings.methods),
    Subject(
        "finished case",
        readings.write_finished,
        readings.finished,
        changed="finished/anna.json",
    ),
    Subject("options.json", readings.write_choices, readings.choices),
    Subject("training log", readings.write_log, readings.log),
    Subject("model", readings.write_model, readings.model),
    Subject("plan.toml", readings.write_plan, readings.plan),
    Subject("table.toml", readings.write_table, readings.table),
)
BY_NAME = {subject.name: subject for subject in SUBJECTS}
