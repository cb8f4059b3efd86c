"""ABIDE I, ABIDE II and ADHD-200, which share the layout of the INDI initiative."""

from functools import partial

from voltween.cohorts.downloads.download import Download
from voltween.cohorts.downloads.layouts import Layout, find_by_layouts

# The two parts of ABIDE differ by identifiers. The follow-up scans of ABIDE II
# (ABIDEII-UCLA_Long, ABIDEII-UPSM_Long) have those of the same persons in ABIDE I.
_ABIDE2_SITE = r"(?:^|/)ABIDEII-"
_ABIDE1_PERSON, _ABIDE2_PERSON = r"(?:00)?5[01]\d{3}", r"(?:2[89]|30)\d{3}"
_DISK = (
    "if a session has several scans, the first (anat_1, run-1) is used",
    "later sessions are cases of their own",
)


def _layouts(person: str, *, below: str = "") -> tuple[Layout, Layout]:
    """The layouts of NITRC and BIDS; `below` is a pattern that paths begin with."""
    return (
        Layout(
            image=below + rf"(?:^|/)(?P<person>{person})/session_0*(?P<scan>\d+)"
            r"/anat_1/(?:mprage|anat)$",
        ),
        Layout(
            image=below
            + rf"(?:^|/)sub-(?P<person>{person})/(?:ses-(?P<scan>\w+)/)?anat/"
            r"sub-[^/_]+(?:_ses-[^/_]+)?(?:_acq-[^/_]+)?(?:_run-0*1)?_T1w$",
        ),
    )


ABIDE1 = Download(
    name="abide1",
    title="ABIDE I: T1 heads of persons with autism and others, 17 sites",
    origin="https://fcon_1000.projects.nitrc.org/indi/abide/abide_I.html "
    "(registration at NITRC)",
    disk=(
        "NYU/0050952/session_1/anat_1/mprage.nii.gz       (or anat.nii.gz)",
        "sub-0050952/[ses-1/]anat/sub-0050952_[ses-1_]T1w.nii.gz        (BIDS)",
        "identifiers 50000 to 51999, outside of folders ABIDEII-...",
        *_DISK,
    ),
    find=partial(
        find_by_layouts,
        layouts=_layouts(_ABIDE1_PERSON, below=rf"^(?!.*{_ABIDE2_SITE}).*?"),
    ),
    region="head",
    intensity_rule="foreground to 0..1",
    split="train",
)

ABIDE2 = Download(
    name="abide2",
    title="ABIDE II: T1 heads of persons with autism and others, 19 sites",
    origin="https://fcon_1000.projects.nitrc.org/indi/abide/abide_II.html "
    "(registration at NITRC)",
    disk=(
        "ABIDEII-GU_1/28741/session_1/anat_1/anat.nii.gz  (or mprage.nii.gz)",
        "sub-28741/[ses-1/]anat/sub-28741_[ses-1_]T1w.nii.gz            (BIDS)",
        "identifiers 28000 to 30999, and everything in folders ABIDEII-...",
        *_DISK,
    ),
    find=partial(
        find_by_layouts,
        layouts=(
            *_layouts(r"\d{5,7}", below=rf"{_ABIDE2_SITE}.*?"),
            *_layouts(_ABIDE2_PERSON),
        ),
    ),
    region="head",
    intensity_rule="foreground to 0..1",
    split="train",
)

ADHD200 = Download(
    name="adhd200",
    title="ADHD-200: T1 heads of children with ADHD and others, eight sites",
    origin="https://fcon_1000.projects.nitrc.org/indi/adhd200 (registration)",
    disk=(
        "KKI/1018959/session_1/anat_1/mprage.nii.gz       (or anat.nii.gz)",
        "sub-1018959/[ses-1/]anat/sub-1018959_[ses-1_]T1w.nii.gz        (BIDS)",
        *_DISK,
    ),
    find=partial(
        find_by_layouts, layouts=(_layouts(r"\d{5,7}")[0], _layouts(r"\w+")[1])
    ),
    region="head",
    intensity_rule="foreground to 0..1",
    split="train",
)
