"""Any folder of scans: the files name the cases, and the user the organ."""

from collections import defaultdict
from functools import partial
from pathlib import PurePosixPath

from voltween.cohorts.downloads.download import Contents, Download, SourceCase
from voltween.cohorts.downloads.layouts import load_scans
from voltween.cohorts.downloads.scans import SourceScan, group_scans
from voltween.cohorts.downloads.sources import Source, natural_order

_IMAGES, _LABELS = "images", "labels"


def find_scans(source: Source) -> Contents:
    """Every scan below the source; those in folders `labels` are label maps.

    A case is named by the path of its scan without suffix and folders `images`, with
    - between the parts.
    """
    images: dict[str, list[SourceScan]] = defaultdict(list)
    labels: dict[str, list[SourceScan]] = defaultdict(list)
    for scan in group_scans(source.files):
        is_labels = _LABELS in PurePosixPath(scan.stem).parts[:-1]
        (labels if is_labels else images)[_name(scan, source)].append(scan)
    names = sorted({*images, *labels}, key=natural_order)
    broken = {
        name: fault
        for name in names
        if (fault := _fault(name, images[name], labels[name]))
    }
    cases = tuple(
        _case(name, images[name][0], labels[name])
        for name in names
        if name not in broken
    )
    return Contents(cases, source.faults, broken=broken)


def _name(scan: SourceScan, source: Source) -> str:
    *folders, last = PurePosixPath(scan.stem).parts or (source.path.resolve().name,)
    kept = [folder for folder in folders if folder not in (_IMAGES, _LABELS)]
    return "-".join([*kept, last])


def _fault(name: str, images: list[SourceScan], labels: list[SourceScan]) -> str:
    """The fault of a case; empty if it is complete."""
    for role, scans in (("image", images), ("label map", labels)):
        if len(scans) > 1:
            places = ", ".join(scan.shown for scan in scans)
            return f"{name}: expected one {role}, got {len(scans)} ({places}): keep one"
    if not images:
        return f"{name}: expected an image, got labels alone ({labels[0].shown})"
    return ""


def _case(name: str, image: SourceScan, labels: list[SourceScan]) -> SourceCase:
    label_map = labels[0] if labels else None
    load = partial(
        load_scans, image, label_map, axes="LAS", correct=lambda loaded: loaded
    )
    files = (*image.files, *(label_map.files if label_map else ()))
    return SourceCase(name, name, tuple(file.facts for file in files), load)


FOLDER = Download(
    name="folder",
    title="Any scans of your own, with --region and --exposure",
    origin="any folder of scans, which you describe by these two options",
    disk=(
        "NAME.nii.gz             image of the case NAME; in folders, A/B.mha is A-B",
        "images/NAME.nii.gz      the same: folders images are no part of the name",
        "labels/NAME.nii.gz      label map of the case, optional; 1 is the liver",
        "NAME/*.dcm              one DICOM series per folder",
    ),
    find=find_scans,
    region="whole",
    intensity_rule="as stored",
    split="train",
    is_open=True,
)
