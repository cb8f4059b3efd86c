"""DICOM objects without pixels, such as structure sets and registrations."""

import warnings
from pathlib import Path

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

_UNDEFINED = 0xFFFFFFFF  # a length that is not stated


def read_dicom_object(path: Path, *, tags: list[str] | None = None) -> Dataset:
    """Reads a DICOM file, all of it or some elements; within `reporting_damage`.

    Warnings of pydicom are about values of fields that nobody uses here.

    Raises:
        ValueError: If the file ends before its last element does, which pydicom allows.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path, specific_tags=tags)
    if _is_cut_short(header):
        raise ValueError("it is cut short")
    return header


def _is_cut_short(item: Dataset) -> bool:
    """Whether an element of an item, or of items in it, has fewer bytes than it says.

    Elements are looked at as they were read: values that nobody asks for may be bad.
    """
    elements = [item.get_item(tag) for tag in item.keys()]  # noqa: SIM118  # as stored
    return any(
        len(each.value or b"") < each.length != _UNDEFINED
        if isinstance(each, RawDataElement)
        else isinstance(each, DataElement)
        and each.VR == "SQ"
        and any(map(_is_cut_short, each.value))
        for each in elements
    )
