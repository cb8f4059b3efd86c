"""DICOM objects without pixels, such as structure sets and registrations."""

import warnings
from pathlib import Path

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_UNDEFINED = 0xFFFFFFFF  # a length that is not stated


def read_dicom_object(path: Path) -> Dataset:
    """Reads a DICOM file whole; within `reporting_damage`.

    Warnings of pydicom are about values of fields that nobody uses here.

    Raises:
        ValueError: If the file ends before its last element does, which pydicom allows.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path)
    elements = [header.get_item(tag) for tag in header.keys()]  # noqa: SIM118  # raw
    if any(_is_cut_short(each) for each in elements):
        raise ValueError("it is cut short")
    return header


def _is_cut_short(element: object) -> bool:
    if not isinstance(element, RawDataElement) or element.length == _UNDEFINED:
        return False
    return len(element.value or b"") < element.length
