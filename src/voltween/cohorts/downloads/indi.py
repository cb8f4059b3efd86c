"""ABIDE I and II and ADHD-200, which share the layout of the INDI initiative."""

from functools import partial

from voltween.cohorts.downloads.download import Download
from voltween.cohorts.downloads.layouts import Layout, find_by_layouts

_NITRC = Layout(
    image=r"(?:^|/)(?P<person>\d{5,7})/session_0*(?P<scan>\d+)/anat_1/(?:mprage|anat)$",
)
_BIDS = Layout(
    image=r"(?:^|/)sub-(?P<person>\w+)/(?:ses-(?P<scan>\w+)/)?anat/"
    r"sub-[^/_]+(?:_ses-[^/_]+)?(?:_acq-[^/_]+)?(?:_run-0*1)?_T1w$",
)
_find = partial(find_by_layouts, layouts=[_NITRC, _BIDS])
_DISK = (
    "NYU/0050952/session_1/anat_1/mprage.nii.gz       (or anat.nii.gz)",
    "sub-0050952/[ses-1/]anat/sub-0050952_[ses-1_]T1w.nii.gz        (BIDS)",
    "if a session has several scans, the first (anat_1, run-1) is used",
)

ABIDE = Download(
    name="abide",
    title="ABIDE I and II: T1 heads of persons with autism and others, many sites",
    origin="https://fcon_1000.projects.nitrc.org/indi/abide (registration at NITRC)",
    disk=_DISK,
    find=_find,
    region="head",
    intensity_rule="foreground to 0..1",
    split="train",
)

ADHD200 = Download(
    name="adhd200",
    title="ADHD-200: T1 heads of children with ADHD and others, eight sites",
    origin="https://fcon_1000.projects.nitrc.org/indi/adhd200 (registration)",
    disk=_DISK,
    find=_find,
    region="head",
    intensity_rule="foreground to 0..1",
    split="train",
)
