"""Contact sheets: sides, outlines and pages."""

import numpy as np
import pytest
from PIL import Image as Picture

from voltween import io
from voltween.cohorts.contact_sheet import (
    CASES_PER_PAGE,
    SheetCase,
    page_names,
    write_contact_sheets,
)
from voltween.spatial import Grid, Image, LabelMap

GRID = Grid((20, 20, 20), np.eye(4))
CYAN = (0, 255, 255)


@pytest.fixture(name="shown")
def shown_fixture(tmp_path):
    """A scan that is bright on the right and front, with a label at the top left."""
    data, labels = np.zeros(GRID.shape), np.zeros(GRID.shape, np.uint8)
    data[10:, 10:] = 100
    labels[2:6, 8:12, 14:18] = 1
    io.write(Image(data, GRID), tmp_path / "image.nii.gz")
    io.write(LabelMap(labels, GRID), tmp_path / "labels.nii.gz")
    return SheetCase("one", tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz")


def test_right_is_right_and_front_and_top_are_up(shown, tmp_path):
    (path,) = write_contact_sheets([shown], tmp_path)
    page = np.asarray(Picture.open(path)).astype(int)
    axial, coronal = page[16:144, :128], page[16:144, 128:256]
    bright = (axial == 255).all(axis=-1)
    rows, columns = np.argwhere(bright).mean(axis=0)
    assert columns > 80
    assert rows < 48
    outlined = np.argwhere((coronal == CYAN).all(axis=-1))
    rows, columns = outlined.mean(axis=0)
    assert columns < 48
    assert rows < 48


def test_labels_are_outlined_not_filled(shown, tmp_path):
    (path,) = write_contact_sheets([shown], tmp_path)
    coronal = np.asarray(Picture.open(path))[16:144, 128:256]
    rows, columns = np.argwhere((coronal == CYAN).all(axis=-1)).T
    filled = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert len(rows) < 0.4 * filled


def test_many_cases_make_many_pages_and_old_ones_go(shown, tmp_path):
    assert page_names(CASES_PER_PAGE) == ["contact_sheet.png"]
    (tmp_path / "contact_sheet_9.png").write_bytes(b"old")
    pages = write_contact_sheets([shown] * (CASES_PER_PAGE + 1), tmp_path)
    assert [page.name for page in pages] == ["contact_sheet.png", "contact_sheet_2.png"]
    assert sorted(tmp_path.glob("contact_sheet*")) == sorted(pages)
