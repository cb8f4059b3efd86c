"""CT of the liver: LiTS for training, SLIVER07 (MICCAI'07) for tests."""

from functools import partial

from voltween.cohorts.downloads.download import Download
from voltween.cohorts.downloads.layouts import Layout, find_by_layouts

LITS = Download(
    name="lits",
    title="LiTS: 131 abdominal CT with liver (1) and tumour (2), several hospitals",
    origin="https://competitions.codalab.org/competitions/17094 (registration)",
    disk=(
        "Training Batch 1/volume-0.nii          image, Hounsfield units",
        "Training Batch 1/segmentation-0.nii    liver 1, tumour 2",
        "...                                    volume-0 to volume-130",
        "test-volume-0.nii                      without labels, if downloaded",
    ),
    find=partial(
        find_by_layouts,
        layouts=[
            Layout(
                image=r"(?:^|/)volume-(?P<person>\d+)$",
                labels=r"(?:^|/)segmentation-(?P<person>\d+)$",
                prefix="lits-",
            ),
            Layout(  # 70 cases, whose labels are not public
                image=r"(?:^|/)test-volume-(?P<person>\d+)$",
                prefix="lits-test-",
                split="test",
            ),
        ],
        expected=[f"lits-{n}" for n in range(131)],
    ),
    region="liver",
    intensity_rule="Hounsfield units, matched",
    split="train",
    one_label={2: 1},
    remark="tumour is part of the liver: label 2 became 1",
)

SLIVER07 = Download(
    name="sliver07",
    title="SLIVER07 (MICCAI'07): 20 contrast-enhanced abdominal CT with liver (1)",
    origin="https://sliver07.grand-challenge.org (registration), training data",
    disk=(
        "scan/liver-orig001.mhd, liver-orig001.raw    image, Hounsfield units",
        "label/liver-seg001.mhd, liver-seg001.raw     liver 1",
        "...                                          001 to 020",
    ),
    find=partial(
        find_by_layouts,
        layouts=[
            Layout(
                image=r"(?:^|/)liver-orig(?P<person>\d{3})$",
                labels=r"(?:^|/)liver-seg(?P<person>\d{3})$",
                prefix="sliver07-",
            )
        ],
        expected=[f"sliver07-{n:03}" for n in range(1, 21)],
    ),
    region="liver",
    intensity_rule="Hounsfield units, matched",
    split="test",
)
