"""Pictures of a cohort leave out faces where its reports do."""

import json

import numpy as np
import pytest
from PIL import Image as Picture

from support.commands import run_here
from support.faces import BRAIN_MM, HEAD, NOSE_MM, head
from support.phantoms import phantom
from voltween import io
from voltween.spatial import Image

SIDE = 96  # pixels of a panel
LONGEST_MM = max(HEAD.shape) * 4.0
MODEL = ("--model", "none", "--refine", "fast", "--transform", "rigid")

pytestmark = pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")


@pytest.fixture(scope="module", name="scans")
def scans_fixture(tmp_path_factory):
    """A head and a blob, each to be registered to itself."""
    folder = tmp_path_factory.mktemp("scans")
    noise = np.random.default_rng(0).uniform(0.9, 1.1, HEAD.shape)
    io.write(Image(head().data * noise, HEAD), folder / "head.nii.gz")
    io.write(phantom()[0], folder / "blob.nii.gz")
    rows = ("fixed,moving", "head.nii.gz,head.nii.gz", "blob.nii.gz,blob.nii.gz")
    (folder / "pairs.csv").write_text("\n".join(rows))
    return folder


def cohort(scans, out, *more):
    """The records of the two pairs, of the head first."""
    words = ["cohort", scans / "pairs.csv", *MODEL, "--outputs", "transform"]
    assert run_here(*words, *more, "--out", out) == 0
    records = [
        json.loads(path.read_text("utf-8")) for path in (out / "records").iterdir()
    ]
    return sorted(records, key=lambda record: record["fixed"], reverse=True)


def brightness(path, position_mm):
    """Mean brightness of a thumbnail's sagittal panel around a position, 0 to 255."""
    with Picture.open(path) as picture:
        panel = np.asarray(picture.convert("L")).astype(float)[:, 2 * SIDE :]
    _, front, up = (position_mm - HEAD.center_mm) / LONGEST_MM * SIDE
    row, column = round(SIDE / 2 - up), round(SIDE / 2 + front)
    return panel[row - 1 : row + 2, column - 1 : column + 2].mean()


def test_thumbnails_show_faces_unless_reports_leave_them_out(scans, tmp_path):
    whole, _ = cohort(scans, tmp_path / "whole")
    assert brightness(tmp_path / "whole" / whole["thumbnail"], NOSE_MM) > 80
    cropped, _ = cohort(scans, tmp_path / "cropped", "--report-crop", "brain")
    picture = tmp_path / "cropped" / cropped["thumbnail"]
    assert brightness(picture, NOSE_MM) < 10
    assert brightness(picture, BRAIN_MM) > 80


def test_what_is_no_head_has_no_thumbnail_then(scans, tmp_path):
    _, blob = cohort(scans, tmp_path / "out", "--report-crop", "brain")
    assert blob["thumbnail"] == ""
    assert len(list((tmp_path / "out" / "thumbnails").iterdir())) == 1
    index = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert index.count("<img") == 1
