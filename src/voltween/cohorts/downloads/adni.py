"""ADNI: T1 heads, in the layout of a collection from the image archive of LONI."""

from functools import partial

from voltween.cohorts.downloads.download import Download
from voltween.cohorts.downloads.layouts import Layout, find_by_layouts

_DATE = r"(?:^|/)(?P<person>\d{3}_S_\d{4,5})/[^/]+/[^/]+/"  # person/series/date

ADNI = Download(
    name="adni",
    title="ADNI: T1 heads of persons with Alzheimer's disease and others",
    origin="https://ida.loni.usc.edu (application): a collection of MPRAGE scans",
    disk=(
        "ADNI/002_S_0413/MPRAGE/2006-05-02_12_31_52.0/I13893/*.dcm    one DICOM series",
        "ADNI/002_S_0413/MPRAGE/2006-05-02_12_31_52.0/I13893/*.nii    or one NIfTI",
        "ADNI/002_S_0413/MPRAGE/2006-05-02_12_31_52.0/S13893/*_I45117.nii  older",
        "every I... is a separate case; those of one person stay in one split",
    ),
    find=partial(
        find_by_layouts,
        layouts=[
            Layout(image=_DATE + r"(?P<scan>I\d+)(?:/[^/]+)?$"),
            Layout(image=_DATE + r"S\d+/[^/]*_(?P<scan>I\d+)$"),
            Layout(image=_DATE + r"(?P<scan>S\d+)$"),
        ],
    ),
    region="head",
    intensity_rule="foreground to 0..1",
    split="train",
)
