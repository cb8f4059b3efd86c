"""OASIS-1: T1 heads, from the discs or from neurite with 35 structures."""

from functools import partial

from voltween.cohorts.downloads.download import Download
from voltween.cohorts.downloads.layouts import Layout, find_by_layouts

_SESSION = r"(?P<person>OAS1_\d{4})_MR(?P<scan>\d)"
_NEURITE = rf"(?:^|/)OASIS_{_SESSION}/"
_DISC = rf"(?:^|/){_SESSION}"

OASIS = Download(
    name="oasis",
    title="OASIS-1: T1 heads of 416 adults, 18 to 96 years old",
    origin="https://sites.wustl.edu/oasisbrains (discs), or "
    "https://github.com/adalca/medical-datasets (neurite-oasis, with 35 structures)",
    disk=(
        "OASIS_OAS1_0001_MR1/norm.nii.gz, seg35.nii.gz     neurite, first choice",
        "OASIS_OAS1_0001_MR1/aligned_norm.nii.gz, aligned_seg35.nii.gz",
        "disc1/OAS1_0001_MR1/PROCESSED/MPRAGE/T88_111/..._t88_masked_gfc.hdr, .img",
        "disc1/OAS1_0001_MR1/FSL_SEG/..._t88_masked_gfc_fseg.hdr, .img  tissues 1-3",
        "disc1/OAS1_0001_MR1/PROCESSED/MPRAGE/SUBJ_111/..._sbj_111.hdr, .img    heads",
        "disc1/OAS1_0001_MR1/RAW/OAS1_0001_MR1_mpr-1_anon.hdr, .img    last choice",
    ),
    find=partial(
        find_by_layouts,
        layouts=[
            Layout(image=_NEURITE + "norm$", labels=_NEURITE + "seg35$"),
            Layout(
                image=_NEURITE + "aligned_norm$", labels=_NEURITE + "aligned_seg35$"
            ),
            Layout(
                image=_DISC + r"_mpr_n\d_anon_111_t88_masked_gfc$",
                labels=_DISC + r"_mpr_n\d_anon_111_t88_masked_gfc_fseg$",
                axes="LAS",
            ),
            Layout(image=_DISC + r"_mpr_n\d_anon_sbj_111$", axes="ASL"),
            Layout(image=_DISC + r"_mpr-1_anon$", axes="ASL"),
        ],
    ),
    region="head",
    intensity_rule="foreground to 0..1",
    split="train",
    remark="directions of Analyze files are assumed: T88_111 LAS, SUBJ_111 and RAW ASL",
)
